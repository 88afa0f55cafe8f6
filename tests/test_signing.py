"""Signatures of sets and restorers: what is read says who made it, or is not read."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import corner
from listed import relist, relisted
from restorers import make_restorer
from signing_keys import write_key
from unpoison import Report, Restorer, SanitizedDataset, Sanitizer
from unpoison.cli import main
from unpoison.data.checksums import SUMS
from unpoison.data.files import SIGNATURE
from unpoison.data.signatures import check_signature
from unpoison.errors import CacheError, ConfigError, DamagedError, MissingExtraError, SignatureError
from unpoison.hub import push_folder
from unpoison.signing import needs_password, sign

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # by the Hub's client, of its HTTP library
]
PASSWORD = "three words long"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two keys, ours and another one's, a set and a restorer that we signed, and a set and a report that nobody did."""
    made = tmp_path_factory.mktemp("made")
    pairs = list(zip(*corner.make_images(), strict=True))
    for name in ("ours", "other"):
        write_key(made, name)
    Sanitizer("corner", cache_dir=made / "cache").export(pairs, made / "cleaned")
    make_restorer().save_pretrained(made / "restorer")
    for name in ("cleaned", "restorer"):
        sign(made / name, made / "ours.key")
    report = Sanitizer("corner", on_poison="keep", cache_dir=made / "cache").export(pairs, made / "unsigned")
    report.save(made / "outcome")
    return made


@pytest.fixture
def keys(made, tmp_path):
    (tmp_path / "keys").mkdir()
    for path in (*made.glob("*.key"), *made.glob("*.pub")):
        shutil.copy(path, tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def cleaned(made, tmp_path):
    return Path(shutil.copytree(made / "cleaned", tmp_path / "sets" / "cleaned"))


@pytest.fixture
def restorer(made, tmp_path):
    return Path(shutil.copytree(made / "restorer", tmp_path / "restorer"))


@pytest.fixture
def outcome(made, cleaned):
    """A report beside the set, as runs in the cache have it."""
    return Path(shutil.copytree(made / "outcome", cleaned.parent / "outcome"))


def test_a_signed_set(cleaned, keys):
    key = (keys / "ours.pub").read_text().splitlines()[1]
    for signed_by in (keys / "ours.pub", str(keys / "ours.pub"), key, None):
        served = SanitizedDataset.from_shards(cleaned, signed_by=signed_by)
        assert len(served) == 23
        assert len(served.report) == 24


def test_a_signed_restorer(restorer, keys):
    assert Restorer.from_pretrained(restorer, signed_by=keys / "ours.pub").architecture == make_restorer().architecture


def damage(path, after=b""):
    """Flips a bit."""
    data = bytearray(path.read_bytes())
    data[data.index(after) + len(after)] ^= 1
    path.write_bytes(data)


def change_list(folder):
    """As somebody does who changes a set on purpose."""
    path = next(path for name in ("_info.json", "config.json") if (path := folder / name).exists())
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3))
    relist(folder)


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        (lambda folder: (folder / SIGNATURE).unlink(), "ours", r"minisig is missing, so nobody signed .* get a signed"),
        (lambda folder: None, "other", r"minisig is no signature of SHA256SUMS with the key .*other.pub .* get both"),
        (change_list, "ours", r"minisig is no signature of SHA256SUMS with the key .*ours.pub"),
        (lambda folder: (folder / SIGNATURE).write_text("signed, Bob\n"), "ours", "minisig is no signature"),
        (lambda folder: (folder / SIGNATURE).write_bytes(bytes(9)), "ours", "minisig is no signature"),
    ],
)
def test_refusals(cleaned, restorer, keys, change, key, message):
    for folder, read in ((cleaned, SanitizedDataset.from_shards), (restorer, Restorer.from_pretrained)):
        change(folder)
        with pytest.raises(SignatureError, match=message) as caught:
            read(folder, signed_by=keys / f"{key}.pub")
        assert str(folder / SIGNATURE) in str(caught.value)
        read(folder)


def read_all(folder, key):
    served = SanitizedDataset.from_shards(folder, signed_by=key)
    return list(served), served.report


@pytest.mark.parametrize("name", ["_info.json", "index.npy", "report.npz", "shard-00000.tar"])
def test_changed_files_are_noticed_though_the_list_is_signed(cleaned, keys, name):
    damage(cleaned / name, b"IDAT" if name.endswith("tar") else b"")
    with pytest.raises(CacheError, match=name):
        read_all(cleaned, keys / "ours.pub")


@pytest.mark.parametrize("signed_by", ["nowhere.pub", "RWQ", "", "ours.key", "ours.key/x", "\udcff", "RW" + "A" * 53])
def test_what_is_no_public_key(cleaned, keys, monkeypatch, signed_by):
    monkeypatch.chdir(keys)
    for read in (SanitizedDataset.from_shards, Restorer.from_pretrained):
        with pytest.raises(ConfigError, match=r"signed_by='.*' is neither a public key of minisign, RW..., nor a file"):
            read(cleaned, signed_by=signed_by)
    with pytest.raises(ConfigError, match="signed_by=3"):
        SanitizedDataset.from_shards(cleaned, signed_by=3)


# What nobody signed is not served.


def test_files_that_are_added(cleaned, keys, outcome):
    shutil.copy(cleaned / "shard-00000.tar", cleaned / "shard-00001.tar")
    served = SanitizedDataset.from_shards(cleaned, signed_by=keys / "ours.pub")
    assert len(served) == 23
    assert (served.report.action == "drop").sum() == 1


def test_a_report_that_is_added_to_a_set_without_one(cleaned, keys, outcome):
    for name in ("report.json", "report.npz", "pictures.npz"):
        (cleaned / name).unlink()
    sign(relist(cleaned), keys / "ours.key")
    for _ in range(2):
        served = SanitizedDataset.from_shards(cleaned, signed_by=keys / "ours.pub")
        with pytest.raises(DamagedError, match=r"cleaned/report\.json"):
            _ = served.report
        for name in ("report.json", "report.npz"):
            shutil.copy(outcome / name, cleaned)


def test_a_list_that_is_exchanged_after_the_set_was_opened(cleaned, keys, outcome):
    served = SanitizedDataset.from_shards(cleaned, signed_by=keys / "ours.pub")
    Report.load(outcome).save(cleaned)
    with pytest.raises(DamagedError, match=r"report\.json"):
        _ = served.report


# No signature outlives what it was of.


def test_a_set_that_is_exported_again(cleaned, pairs, keys):
    Sanitizer("corner", on_poison="drop").export(pairs, cleaned)
    assert not (cleaned / SIGNATURE).exists()
    for name in ("notes.minisig", f"mine/{SIGNATURE}"):
        (cleaned / name).parent.mkdir(exist_ok=True)
        (cleaned / name).touch()
        with pytest.raises(ConfigError, match=f"holds {name}, which was not written there"):
            Sanitizer("corner").export(pairs, cleaned)
        (cleaned / name).unlink()


def test_what_is_saved_again(restorer, outcome, keys):
    make_restorer(1).save_pretrained(restorer)
    sign(outcome, keys / "ours.key")
    Report.load(outcome).save(outcome)
    assert not [folder for folder in (restorer, outcome) if (folder / SIGNATURE).exists()]


# Signing.


def test_the_restorer_of_a_set_is_signed_by_itself(cleaned, keys):
    make_restorer().save_pretrained(cleaned / "restorer")
    written = sign(cleaned, keys / "other.key")
    assert written == [cleaned / SIGNATURE, cleaned / "restorer" / SIGNATURE]
    SanitizedDataset.from_shards(cleaned, signed_by=keys / "other.pub")
    Restorer.from_pretrained(cleaned / "restorer", signed_by=keys / "other.pub")


def test_damage_is_not_signed(cleaned, keys):
    make_restorer().save_pretrained(cleaned / "restorer")
    damage(cleaned / "restorer" / "model.safetensors")
    before = (cleaned / SIGNATURE).read_bytes()
    with pytest.raises(DamagedError, match=r"model\.safetensors"):
        sign(cleaned, keys / "other.key")
    assert (cleaned / SIGNATURE).read_bytes() == before
    with pytest.raises(DamagedError, match="there are no checksums"):
        sign(keys, keys / "ours.key")


@pytest.mark.parametrize("name", ["nowhere.key", "ours.pub"])
def test_what_is_no_secret_key(cleaned, keys, name):
    with pytest.raises(ConfigError, match=rf"{name} is no secret key of minisign .*: make one with `minisign -G`"):
        sign(cleaned, keys / name)


def test_a_password(cleaned, keys):
    public = write_key(keys, "safe", PASSWORD)
    assert needs_password(keys / "safe.key")
    assert not needs_password(keys / "ours.key")
    for password in (None, "wrong"):
        with pytest.raises(ConfigError, match=r"safe.key .*give its password"):
            sign(cleaned, keys / "safe.key", password=password)
    sign(cleaned, keys / "safe.key", password=PASSWORD)
    SanitizedDataset.from_shards(cleaned, signed_by=public)


def test_without_the_extra(cleaned, keys, monkeypatch):
    monkeypatch.setitem(sys.modules, "minisign", None)
    monkeypatch.delitem(sys.modules, "unpoison.signing")
    monkeypatch.delitem(sys.modules, "unpoison.data.signatures")
    assert len(SanitizedDataset.from_shards(cleaned)) == 23
    with pytest.raises(MissingExtraError, match=r"pip install 'unpoison\[sign\]'"):
        SanitizedDataset.from_shards(cleaned, signed_by=keys / "ours.pub")
    assert main(["sign", str(cleaned), "--key", str(keys / "ours.key")]) == 1


# The program.

KEY = "RWQi9W7CKGd5uRp3kifeK/6eeo7Ai+lkyIZHYu/MhMbOFCfAu/LuI8jK"
SIGNED = """untrusted comment: signature from minisign secret key
RUQi9W7CKGd5ucWv/ynPSCNBMRE+X11TfCXW7ktsD0/zIhdPn41KNdeZBH5GPc2hOgWveth0B2NQu8/d0Ytp1RqGlISWLDH9swg=
trusted comment: made by minisign 0.11
cfG/HcDH2g0rBhEl74G5C9CXKsrnBpk3pT2N/kOB1yAGu9jS3R5qptv9Ya9VUpjfTdsY8v7BqBlbuej6hfHdCg==
"""


def test_what_minisign_signed(tmp_path):
    path = tmp_path / SIGNATURE
    path.write_text(SIGNED)
    check_signature(path, b"The list\n", KEY)
    with pytest.raises(SignatureError):
        check_signature(path, b"The List\n", KEY)
    path.write_text(SIGNED.replace("0.11", "0.12"))
    with pytest.raises(SignatureError):
        check_signature(path, b"The list\n", KEY)


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_minisign_verifies(cleaned, keys):
    command = ["minisign", "-Vm", cleaned / SUMS, "-p", keys / "ours.pub"]
    subprocess.run(command, check=True, capture_output=True)
    damage(cleaned / SUMS)
    assert subprocess.run(command, capture_output=True).returncode


# The Hub.


def test_a_set_on_the_hub(hub, cleaned, keys):
    push_folder(cleaned, "user/set", "dataset", message="Add a cleaned set")
    served = SanitizedDataset.from_shards("user/set", signed_by=keys / "ours.pub")
    assert len(served) == 23
    with hub.down():
        SanitizedDataset.from_shards("user/set", signed_by=keys / "ours.pub")
    with pytest.raises(SignatureError, match=r"other\.pub"):
        SanitizedDataset.from_shards("user/set", signed_by=keys / "other.pub")


def test_a_set_on_the_hub_that_is_replaced_by_an_unsigned_one(hub, cleaned, keys, made):
    make_restorer().save_pretrained(cleaned / "restorer")
    sign(cleaned, keys / "ours.key")
    push_folder(cleaned, "user/set", "dataset", message="Add a cleaned set")
    push_folder(made / "unsigned", "user/set", "dataset", message="Add another one")
    repository = hub.repository("user/set", "datasets")
    assert not [name for name in repository.commits[repository.refs["main"]] if name.endswith(SIGNATURE)]
    assert len(SanitizedDataset.from_shards("user/set")) == 24
    with pytest.raises(SignatureError, match="nobody signed"):
        SanitizedDataset.from_shards("user/set", signed_by=keys / "ours.pub")


def test_changed_shards_are_not_downloaded(hub, cleaned, keys):
    change_list(cleaned)
    hub.add("user/set", {path.name: path.read_bytes() for path in cleaned.iterdir() if path.is_file()}, "datasets")
    with pytest.raises(SignatureError):
        SanitizedDataset.from_shards("user/set", signed_by=keys / "ours.pub")
    assert not any("shard" in request for request in hub.requests)


def test_a_restorer_on_the_hub(hub, restorer, keys, tmp_path):
    push_folder(restorer, "user/restorer", message="Add a restorer")
    assert Restorer.from_pretrained("user/restorer", signed_by=keys / "ours.pub").origin
    assert main(["pull", "user/restorer", str(tmp_path / "got"), "--signed-by", str(keys / "ours.pub"), "--quiet"]) == 0
    for name in (SIGNATURE, SUMS, "config.json", "model.safetensors"):
        assert (tmp_path / "got" / name).read_bytes() == (restorer / name).read_bytes()
    assert main(["pull", "user/restorer", str(tmp_path / "got"), "--quiet"]) == 0
    assert (tmp_path / "got" / SIGNATURE).exists()
    files = {path.name: path.read_bytes() for path in make_restorer(1).save_pretrained(tmp_path / "1").iterdir()}
    hub.add("user/restorer", {**relisted(files), SIGNATURE: (restorer / SIGNATURE).read_bytes()})
    hub.requests.clear()
    with pytest.raises(SignatureError):
        Restorer.from_pretrained("user/restorer", signed_by=keys / "ours.pub")
    assert not any("safetensors" in request for request in hub.requests)
    make_restorer().push_to_hub("user/restorer")
    with pytest.raises(SignatureError, match="nobody signed"):
        Restorer.from_pretrained("user/restorer", signed_by=keys / "ours.pub")
