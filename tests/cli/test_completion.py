"""Shell completion, as bash asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("register-python-argcomplete")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cl"], {"clean"}),
        (["attack", "a", "b", "--att"], {"--attack"}),
        (["attack", "a", "b", "--attack", "b"], {"badnets", "blend"}),
        (["clean", "a", "b", "--on-poison", ""], {"restore", "drop", "keep"}),
        (["clean", "pho"], {"photos", "photos.parquet"}),
        (["bench", "bab-fig"], {"bab-fig5", "bab-fig6"}),
    ],
)
def test_completes(tmp_path, words, expected):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos.parquet").touch()
    line = " ".join(["unpoison", *words])
    program = (
        f'PATH={SCRIPT.parent}:$PATH; eval "$({SCRIPT} unpoison)"; COMP_LINE="{line}"; COMP_POINT={len(line)}; '
        "COMP_TYPE=9; _python_argcomplete unpoison; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert {name.rstrip("/ ") for name in done.stdout.split("\n") if name} == expected, done.stderr
