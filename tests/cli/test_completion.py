"""`unpoison --print-completion`: what a shell makes of it."""

import subprocess

import pytest

from unpoison.cli import main


@pytest.fixture
def script(capfd, tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", "bash"])
    assert caught.value.code == 0
    path = tmp_path / "completion.bash"
    path.write_text(capfd.readouterr().out)
    return path


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_shell_has_a_script(shell, capfd):
    with pytest.raises(SystemExit):
        main(["--print-completion", shell])
    assert "unpoison" in capfd.readouterr().out


def test_bash_takes_it(script):
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["unpoison", "cl"], {"clean"}),
        (["unpoison", "attack", "a", "b", "--att"], {"--attack"}),
        (["unpoison", "attack", "a", "b", "--attack", "b"], {"badnets", "blend"}),
        (["unpoison", "clean", "a", "b", "--on-poison", ""], {"restore", "drop", "keep"}),
        (["unpoison", "clean", "pho"], {"photos", "photos.parquet"}),
        (["unpoison", "report", "pho"], {"photos"}),
        (["unpoison", "bench", "bab-fig"], {"bab-fig5", "bab-fig6"}),
    ],
)
def test_completes(script, tmp_path, words, expected):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos.parquet").touch()
    line = " ".join(f"'{word}'" for word in words)
    program = (
        f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_unpoison; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert {name.rstrip("/ ") for name in done.stdout.split("\n") if name} == expected
