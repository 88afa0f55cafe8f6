"""A small server that speaks as much of the Hub's protocol as its clients need to create, fill and read repositories.

It holds models and datasets in memory. Xet is not emulated: clients must be told HF_HUB_DISABLE_XET=1. Faults are
injected per request, see `Fault`.
"""

import base64
import dataclasses
import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_of_the_tests"
_LFS = (".safetensors", ".tar", ".npz", ".parquet", ".bin")


@dataclasses.dataclass
class Fault:
    """What goes wrong with the requests whose "METHOD path" contains a text."""

    match: str
    status: int = 0
    """Answers with this status instead of the content."""
    headers: dict = dataclasses.field(default_factory=dict)
    change: object = None
    """Applied to the bytes of the answer."""
    cut: bool = False
    """Closes the connection in the middle of the body."""
    hang: float = 0
    """Waits this many seconds before it answers."""
    times: int = 10**9
    """Requests that fail before all is well again."""


@dataclasses.dataclass
class Repository:
    private: bool = False
    commits: dict = dataclasses.field(default_factory=dict)
    """Files by path, by commit."""
    refs: dict = dataclasses.field(default_factory=dict)

    def commit(self, files, branch="main"):
        parent = self.refs.get(branch, "")
        sha = hashlib.sha1(f"{parent}{len(self.commits)}{time.time_ns()}".encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.refs[branch] = sha
        return sha

    def resolve(self, revision):
        return self.refs.get(revision, revision if revision in self.commits else None)


class Hub:
    """The server. `url` stays the same when it is stopped and started again."""

    def __init__(self):
        self._port = 0
        self.reset()
        self.start()

    def reset(self):
        self.repositories, self.blobs, self.faults, self.requests = {}, {}, [], []
        self.lists_sizes = True

    def start(self):
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def down(self):
        """Nothing listens within the block, and open connections answer no more."""
        self.faults.insert(0, Fault("", cut=True))
        self.stop()
        try:
            yield
        finally:
            self.faults.pop(0)
            self.start()

    def repository(self, name, kind="models"):
        return self.repositories[kind, name]

    def add(self, name, files, kind="models", **options):
        """A repository with files; returns it."""
        repository = self.repositories.setdefault((kind, name), Repository(**options))
        repository.commit(files)
        return repository


class Failure(Exception):
    def __init__(self, status, code="", message=""):
        self.status, self.code, self.message = status, code, message


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def handle(self):
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self):
        self.answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        request = f"{self.command} {path}"
        self.hub.requests.append(request)
        fault = next((fault for fault in self.hub.faults if fault.match in request and fault.times > 0), None)
        if fault is not None:
            fault.times -= 1
            time.sleep(fault.hang)
        try:
            if fault is not None and fault.status:
                raise Failure(fault.status, message="a fault")
            status, headers, data = self.dispatch(path, body)
        except Failure as failure:
            status = failure.status
            headers = {"X-Error-Code": failure.code, "X-Error-Message": failure.message}
            data = json.dumps({"error": failure.message}).encode()
        if not isinstance(data, bytes):
            headers, data = {**headers, "Content-Type": "application/json"}, json.dumps(data).encode()
        length = len(data)
        if fault is not None:
            headers = {**headers, **fault.headers}
            data = fault.change(data) if fault.change else data
            data = data[: length // 2] if fault.cut else data
            length = length if fault.cut else len(data)
        if fault is not None and fault.cut and length < 2:
            self.close_connection = True
            return
        with suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"Content-Length": str(length), **headers}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            if fault is not None and fault.cut:
                self.close_connection = True

    def dispatch(self, path, body):
        for pattern, name in _ROUTES:
            if match := re.fullmatch(pattern, f"{self.command} {path}"):
                return getattr(self, name)(body, **match.groupdict())
        raise Failure(404, message="no such route")

    # Who may do what.

    def may_write(self):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Failure(401, message="Invalid username or password.")

    def open(self, kind, name, revision=None):
        repository = self.hub.repositories.get((kind or "models", name))
        if repository is None or (repository.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"):
            raise Failure(404, "RepoNotFound", "Repository not found")
        sha = repository.resolve(revision or "main")
        if sha is None and (revision or repository.commits):
            raise Failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, sha, repository.commits.get(sha, {})

    # Routes.

    def create(self, body):
        self.may_write()
        facts = json.loads(body)
        kind = facts.get("type", "model") + "s"
        name = f"{facts.get('organization') or 'user'}/{facts['name']}"
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"
        if (kind, name) in self.hub.repositories:
            return 409, {}, {"error": "it exists", "url": url}
        private = facts.get("private", False) or facts.get("visibility") == "private"
        self.hub.repositories[kind, name] = Repository(private=private)
        self.hub.repositories[kind, name].commit({".gitattributes": b""})
        return 200, {}, {"url": url, "name": name}

    def whoami(self, _):
        self.may_write()
        return 200, {}, {"type": "user", "name": "user", "orgs": []}

    def validate(self, _):
        return 200, {}, {"errors": [], "warnings": []}

    def info(self, _, kind, name, revision=None):
        repository, sha, files = self.open(kind, name, revision)
        siblings = [
            self.sibling(path, data) if self.hub.lists_sizes else {"rfilename": path} for path, data in files.items()
        ]
        return 200, {}, {"id": name, "sha": sha, "private": repository.private, "siblings": siblings, "tags": []}

    def tree(self, _, kind, name, revision, folder=""):
        _, _, files = self.open(kind, name, revision)
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        prefix = folder + "/" if folder else ""
        found, folders = [], set()
        for path, data in files.items():
            if path.startswith(prefix):
                if "/" in path[len(prefix) :] and not recursive:
                    folders.add(prefix + path[len(prefix) :].split("/")[0])
                else:
                    found.append(_entry(path, data))
        if folder and not found and not folders:
            raise Failure(404, "EntryNotFound", "no such folder")
        found += [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
        return 200, {}, found

    def paths_info(self, body, kind, name, revision):
        _, _, files = self.open(kind, name, revision)
        if "json" in self.headers.get("Content-Type", ""):
            wanted = json.loads(body)["paths"]
        else:
            wanted = parse_qs(body.decode())["paths"]
        out = [_entry(path, files[path]) for path in wanted if path in files]
        for path in wanted:
            if path not in files and any(other.startswith(f"{path}/") for other in files):
                out.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return 200, {}, out

    def preupload(self, body, kind, name, revision):
        self.may_write()
        _, _, files = self.open(kind, name, revision)
        out = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            data = files.get(path)
            out.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if path.endswith(_LFS) else "regular",
                    "shouldIgnore": False,
                    "oid": None if data is None else _entry(path, data)["oid"],
                }
            )
        return 200, {}, {"files": out}

    def lfs_batch(self, body, kind, name):
        self.may_write()
        objects = []
        for item in json.loads(body)["objects"]:
            entry = {"oid": item["oid"], "size": item["size"], "authenticated": True}
            if item["oid"] not in self.hub.blobs:
                verify = {"href": f"{self.hub.url}/lfs/verify", "header": {}}
                upload = {"href": f"{self.hub.url}/lfs/{item['oid']}", "header": {}}
                entry["actions"] = {"upload": upload, "verify": verify}
            objects.append(entry)
        return 200, {}, {"transfer": "basic", "objects": objects}

    def lfs_put(self, body, oid):
        if hashlib.sha256(body).hexdigest() != oid:
            raise Failure(400, message="wrong checksum")
        self.hub.blobs[oid] = body
        return 200, {}, b""

    def lfs_verify(self, body):
        return (200 if json.loads(body)["oid"] in self.hub.blobs else 404), {}, {}

    def commit(self, body, kind, name, revision):
        self.may_write()
        repository, _, files = self.open(kind, name, revision)
        files = dict(files)
        for line in body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            match item["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.blobs[value["oid"]]
                case "deletedFile":
                    files.pop(value["path"], None)
                case "deletedFolder":
                    files = {path: data for path, data in files.items() if not path.startswith(value["path"])}
        sha = repository.commit(files, revision)
        return 200, {}, {"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha, "success": True}

    def file(self, _, name, revision, path, kind=None):
        _, sha, files = self.open(kind, name, revision)
        if path not in files:
            raise Failure(404, "EntryNotFound", "Entry not found")
        data, entry = files[path], _entry(path, files[path])
        etag = entry.get("lfs", entry)["oid"]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, stop = int(span[1]), int(span[2] or len(data) - 1) + 1
            return 206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}, data[start:stop]
        return 200, headers, data

    @staticmethod
    def sibling(path, data):
        entry = _entry(path, data)
        sibling = {"rfilename": path, "size": len(data), "blobId": entry["oid"]}
        if "lfs" in entry:
            sibling["lfs"] = {"size": len(data), "sha256": entry["lfs"]["oid"], "pointerSize": 134}
        return sibling


def _entry(path, data):
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    entry = {"type": "file", "path": path, "size": len(data), "oid": blob}
    if path.endswith(_LFS):
        entry["oid"] = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": entry["oid"], "size": len(data), "pointerSize": 134}
    return entry


_REPO = r"(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)"
_ROUTES = [
    (r"POST /api/repos/create", "create"),
    (r"GET /api/whoami-v2", "whoami"),
    (r"POST /api/validate-yaml", "validate"),
    (rf"GET /api/{_REPO}", "info"),
    (rf"GET /api/{_REPO}/revision/(?P<revision>.+)", "info"),
    (rf"GET /api/{_REPO}/tree/(?P<revision>[^/]+)", "tree"),
    (rf"GET /api/{_REPO}/tree/(?P<revision>[^/]+)/(?P<folder>.+)", "tree"),
    (rf"POST /api/{_REPO}/paths-info/(?P<revision>[^/]+)", "paths_info"),
    (rf"POST /api/{_REPO}/preupload/(?P<revision>[^/]+)", "preupload"),
    (rf"POST /api/{_REPO}/commit/(?P<revision>[^/]+)", "commit"),
    (r"POST /(?P<kind>datasets/)?(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs_batch"),
    (r"POST /lfs/verify", "lfs_verify"),
    (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", "lfs_put"),
    (r"(GET|HEAD) /(?P<kind>datasets)/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "file"),
    (r"(GET|HEAD) /(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "file"),
]
