"""`unpoison sign`, and `pull --signed-by`."""

import pytest

from restorers import make_restorer
from signing_keys import write_key
from unpoison import Restorer
from unpoison.cli import sign
from unpoison.data.files import SIGNATURE

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # by the Hub's client


def test_sign_push_and_pull(hub, tmp_path, command, refused):
    folder, other = make_restorer().save_pretrained(tmp_path / "r"), write_key(tmp_path, "other")
    write_key(tmp_path)
    key, public = tmp_path / "minisign.key", tmp_path / "minisign.pub"
    assert command("sign", folder, "--key", key)[0] == {"signatures": [str(folder / SIGNATURE)]}
    command("push", folder, "user/name", "--quiet")
    assert command("pull", "user/name", tmp_path / "got", "--signed-by", public, "--quiet")[0]["origin"]
    assert "is no signature" in refused(1, "pull", "user/name", tmp_path / "other", "--signed-by", other, "--quiet")
    assert not (tmp_path / "other").exists()


def test_the_password_is_asked_for(tmp_path, command, refused, monkeypatch):
    folder, public = make_restorer().save_pretrained(tmp_path / "r"), write_key(tmp_path, password="right")
    key, asked = tmp_path / "minisign.key", []
    monkeypatch.setattr(sign, "getpass", lambda prompt: asked.append(prompt) or ["right", "wrong"][len(asked) - 1])
    command("sign", folder, "--key", key)
    Restorer.from_pretrained(folder, signed_by=public)
    assert "give its password" in refused(2, "sign", folder, "--key", key)
    assert asked == [f"password of {key}: "] * 2


def test_nobody_to_ask(tmp_path, refused, monkeypatch):
    folder = make_restorer().save_pretrained(tmp_path / "r")
    write_key(tmp_path, password="right")

    def closed(_):
        raise EOFError

    monkeypatch.setattr(sign, "getpass", closed)
    assert "give its password" in refused(2, "sign", folder, "--key", tmp_path / "minisign.key")
    assert not (folder / SIGNATURE).exists()
