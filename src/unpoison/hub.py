"""Repositories on the Hugging Face Hub: files fetched at a fixed commit, folders pushed, one clear error for each
failure.

The first question to the Hub is asked once, without the client's retries, so that an answer or an error is there
within seconds. It yields the commit, and the size and checksum of every file: nothing is fetched that is larger than
expected, and what arrives is checked. Mirrors may list files without these: then each file is asked for its size before
it is fetched. Without a connection, files that were fetched before are used.
"""

import errno
import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

# The base of the errors of whichever HTTP library the client uses: requests, httpx or another.
from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

from .checks import AnyPath, checked
from .data.files import SIGNATURE, check_regular, open_regular
from .data.outputs import RECORD
from .errors import HubError

_logger = logging.getLogger(__name__)
TIMEOUT = 10.0
"""Seconds that the Hub may take to answer the first question."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DISK = {errno.EACCES, errno.EDQUOT, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN to a token that may"

Kind = Literal["model", "dataset"]


class Source(NamedTuple):
    """A repository at a revision."""

    repo_id: str
    revision: str | None
    """Branch, tag or commit; None for the default branch."""
    kind: Kind = "model"

    def __str__(self) -> str:
        return self.repo_id if self.revision is None else f"{self.repo_id}@{self.revision}"


@checked
def parse(id_: str, revision: str | None = None, kind: Kind = "model") -> Source:
    """Reads "user/name" or "user/name@revision".

    Raises:
        HubError: the revision is given twice, or the text is no name of a repository.
    """
    repo_id, _, inline = id_.partition("@")
    if inline and revision is not None:
        raise HubError(f"{id_} names a revision, and so does revision={revision!r}: give one of them")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo_id):
        raise HubError(f"{id_!r} is neither a folder nor the name of a repository on the Hub, such as user/name")
    return Source(repo_id, inline or revision, kind)


class _Listed(NamedTuple):
    size: int | None
    """In bytes; None where it was not listed."""
    blob: str | None
    """sha1 of the file with git's header, of the pointer for large files."""
    sha256: str | None
    """None for small files, which git keeps itself."""


class Snapshot:
    """The files of a repository at one commit.

    Attributes:
        source: with the commit's hash as the revision.
        files: names of its files; None without a connection.
    """

    def __init__(self, source: Source, listed: dict[str, _Listed] | None) -> None:
        self.source, self._listed = source, listed

    @property
    def files(self) -> list[str] | None:
        return None if self._listed is None else sorted(self._listed)

    def fetch(self, name: str, max_bytes: int) -> Path:
        """The path of a file in the Hub's cache, where it is downloaded to if it is not there yet.

        Raises:
            HubError: the file is missing, larger than `max_bytes`, damaged or cannot be fetched.
        """
        listed = None if self._listed is None else self._listed.get(name)
        if self._listed is not None and listed is None:
            raise HubError(f"{self.source} has no file {name}: it holds something else, check the name")
        if listed is not None and listed.size is None:
            listed = _asked_for(self.source, name)
        if listed is not None and listed.size is not None and listed.size > max_bytes:
            raise HubError(
                f"{name} of {self.source} has {listed.size} bytes where at most {max_bytes} are expected: it is not "
                "what its other files say, use another revision"
            )
        with explaining(self.source, f"download {name} of"):
            path = Path(_download(self.source, name, local=listed is None))
        if listed is not None and not _is_intact(path, listed):
            # The blob behind the link goes, too: the next call downloads it again.
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise HubError(f"{name} of {self.source} was damaged on its way here: try again")
        return path


def open_snapshot(source: Source, first: str, max_bytes: int) -> Snapshot:
    """Finds the commit that a revision stands for now; without a connection, the one it stood for last.

    Args:
        source: what to open.
        first: a file at the top of the repository, by which a copy in the cache is recognised. It is fetched.
        max_bytes: the largest size that `first` may have.

    Raises:
        HubError: the repository cannot be found or reached, or lacks the file.
    """
    try:
        with explaining(source, "look up"):
            info = HfApi().repo_info(
                source.repo_id, repo_type=source.kind, revision=source.revision, timeout=TIMEOUT, files_metadata=True
            )
    except HubError as error:
        if not _may_use_cache(error.__cause__):
            raise
        try:
            cached = Path(_download(source, first, local=True))
        except (LocalEntryNotFoundError, OSError, ValueError):
            raise error from error.__cause__
        snapshot = Snapshot(source._replace(revision=cached.parent.name), None)
        _logger.info("no connection to the Hub: using the copy of %s", snapshot.source)
        return snapshot
    if info.sha is None or not _COMMIT.fullmatch(info.sha):
        raise HubError(f"the Hub names no commit for {source}: check HF_ENDPOINT")
    listed = {
        file.rfilename: _Listed(file.size, file.blob_id, None if file.lfs is None else file.lfs.sha256)
        for file in getattr(info, "siblings", None) or []
    }
    snapshot = Snapshot(source._replace(revision=info.sha), listed)
    snapshot.fetch(first, max_bytes)
    if source.revision != info.sha:
        # By name, so that the cache notes which commit the name stands for; the content is there already.
        with explaining(source, f"download {first} of"):
            _download(source, first, local=False)
    _logger.info("using %s from the Hub", snapshot.source)
    return snapshot


@checked
def push_folder(
    folder: AnyPath, repo_id: str, kind: Kind = "model", *, private: bool | None = None, message: str
) -> str:
    """Uploads a folder into a repository, which is created if it does not exist; returns the commit's address.

    Raises:
        HubError: the repository cannot be written.
    """
    source = parse(repo_id, kind=kind)
    for path in Path(folder).rglob("*"):
        try:
            if not path.is_dir():
                check_regular(path)
        except OSError as error:
            raise HubError(f"{path} cannot be uploaded ({error.strerror}): repair or remove it") from error
    _check_reachable(source)
    with explaining(source, "push to"):
        api = HfApi()
        api.create_repo(source.repo_id, repo_type=kind, private=private, exist_ok=True)
        # A signature that the folder does not hold is of what was there before.
        info = api.upload_folder(
            repo_id=source.repo_id, repo_type=kind, folder_path=folder, commit_message=message,
            revision=source.revision, ignore_patterns=[RECORD], delete_patterns=[f"*{SIGNATURE}"],
        )  # fmt: skip
        return str(info.commit_url)


def _check_reachable(source: Source) -> None:
    """Asks the Hub anything, with a limit on the time: the client's own uploads have none.

    Raises:
        HubError: there is no connection.
    """
    try:
        with explaining(source, "push to"):
            HfApi().repo_info(source.repo_id, repo_type=source.kind, timeout=TIMEOUT)
    except HubError as error:
        if not isinstance(error.__cause__, RepositoryNotFoundError):
            raise


@contextmanager
def explaining(source: Source, what: str) -> Iterator[None]:
    """Turns the client's errors into one `HubError` that says what to do."""
    try:
        yield
    except (TransportError, EntryNotFoundError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, RuntimeError):  # so the client calls the failed upload of a large file
            if not isinstance(error.__cause__, TransportError | OSError):
                raise
            error = error.__cause__
        raise HubError(f"cannot {what} {source} on the Hub: {_advice(error, source)}") from error


def _advice(error: Exception, source: Source) -> str:
    status = _status(error)
    match error:
        case HFValidationError():
            return f"{source.repo_id!r} is not the name of a repository, such as user/name"
        case GatedRepoError():
            return f"access is granted on request: ask for it on the repository's page, then {_LOG_IN} read it"
        case RepositoryNotFoundError():
            return (
                f"there is no such {source.kind}, or it is private: check the name (or the path, if it is to be a "
                f"folder), and {_LOG_IN} read it"
            )
        case RevisionNotFoundError():
            return "there is no such revision: check the branch, tag or commit"
        case _ if isinstance(error.__cause__, OfflineModeIsEnabled) or isinstance(error, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set and there is no copy in the cache: unset it, or give a local folder"
        case LocalEntryNotFoundError():
            return "the connection was lost: try again, or give a local folder"
        case EntryNotFoundError():
            return "it lacks a file that it should have: check the name"
        case _ if status in (401, 403):
            return f"access is denied: {_LOG_IN} do this"
        case _ if status == 429:
            return "too many requests: wait some minutes and try again"
        case _ if status is not None:
            return f"it answers with error {status}: try again later, or give a local folder"
        case OSError() if error.errno in _DISK:
            return f"a file cannot be read or written here ({error}): check the folder or set HF_HOME to another disk"
        case _:
            return (
                f"it cannot be reached ({type(error).__name__}: {str(error)[:200]}): check the connection and "
                "HF_ENDPOINT, or give a local folder"
            )


def _status(error: BaseException | None) -> int | None:
    if not isinstance(error, HfHubHTTPError):
        return None
    status: Any = getattr(error.response, "status_code", None)
    return status if isinstance(status, int) else None


def _may_use_cache(error: BaseException | None) -> bool:
    """Whether the Hub gave no answer, as opposed to a refusal."""
    status = _status(error)
    return (status is None and not isinstance(error, HFValidationError)) or status == 429 or (status or 0) >= 500


def _download(source: Source, name: str, *, local: bool) -> str:
    return str(
        hf_hub_download(source.repo_id, name, repo_type=source.kind, revision=source.revision, local_files_only=local)
    )


def _asked_for(source: Source, name: str) -> _Listed:
    """What the server says about a file that it listed without its size.

    Raises:
        HubError: it cannot be reached, or does not say.
    """
    with explaining(source, f"look up {name} of"):
        url = hf_hub_url(source.repo_id, name, repo_type=source.kind, revision=source.revision)
        found = get_hf_file_metadata(url, timeout=TIMEOUT)
    if found.size is None:
        raise HubError(
            f"the server does not say how large {name} of {source} is, neither in its list of files nor for the file "
            "itself: set HF_ENDPOINT to another one, or give a local folder"
        )
    # Mirrors name small files by checksums of their own.
    is_sha256 = re.fullmatch(r"[0-9a-f]{64}", found.etag or "") is not None
    return _Listed(found.size, None, found.etag if is_sha256 else None)


def _is_intact(path: Path, listed: _Listed) -> bool:
    if path.stat().st_size != listed.size:
        return False
    with open_regular(path) as file:
        if listed.sha256 is not None:
            return hashlib.file_digest(file, "sha256").hexdigest() == listed.sha256
        digest = hashlib.sha1(b"blob %d\0" % listed.size, usedforsecurity=False)
        digest.update(file.read())
    return listed.blob is None or digest.hexdigest() == listed.blob
