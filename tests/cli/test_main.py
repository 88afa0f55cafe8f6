"""What all commands have in common: exit codes, streams, help, a fast start."""

import os
import shlex
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from unpoison.cli import _parser, commands_at_hand, main

COMMANDS = {command.name: command for command in commands_at_hand()}


def test_all_are_there():
    assert set(COMMANDS) == {"attack", "bench", "cache", "clean", "compare", "demo", "pull", "push", "report", "sign"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_to_copy(name, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    shown = capfd.readouterr().out
    (line,) = [line for line in shown.splitlines() if line.startswith("example: ")]
    program, *arguments = shlex.split(line.removeprefix("example: "))
    assert program == "unpoison"
    assert arguments == shlex.split(COMMANDS[name].example)[1:]
    assert _parser().parse_args(arguments).run is COMMANDS[name].run


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "unpoison" in capfd.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["clean"],
        ["clean", "a"],
        ["clean", "a", "b", "--on-poison", "eat"],
        ["attack", "a", "b"],
        ["attack", "a", "b", "--attack", "magic"],
        ["attack", "a", "b", "--attack", "badnets", "--target", "cats"],
        ["compare", "a", "b"],
        ["report"],
    ],
)
def test_wrong_usage(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: unpoison" in capfd.readouterr().err


def test_same_option_means_the_same_everywhere():
    meanings: dict[str, set[object]] = {}
    commands = _parser()._subparsers._group_actions[0].choices
    for parser in commands.values():
        for action in parser._actions:
            for option in action.option_strings:
                meanings.setdefault(option, set()).add((type(action), action.dest, action.type))
    assert {option: found for option, found in meanings.items() if len(found) > 1} == {}
    assert all("--json" in parser._option_string_actions for parser in commands.values())


def test_help_loads_nothing_heavy():
    program = "import sys; from unpoison.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = set(shown.splitlines()[-1].split())
    assert "unpoison.cli.clean" in loaded
    assert not {"torch", "numpy", "PIL", "rich", "sklearn", "torchvision", "huggingface_hub"} & loaded


@pytest.mark.parametrize(
    "call",
    [
        "unpoison.cli.main(['--help'])",
        "unpoison.cli.streams.show(argparse.Namespace(json=True), '', {})",
        "unpoison.cli.streams.show(argparse.Namespace(json=False), 'x' * 100_000, {})",
    ],
)
def test_nobody_reads_on(call):
    """As in `unpoison ... | head`: no traceback."""
    program = [sys.executable, "-c", f"import argparse, unpoison.cli; {call}"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_unexpected_errors_keep_their_traceback(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a defect")

    monkeypatch.setattr("unpoison.data.sources.open_source", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        main(["clean", "a", "b"])


@pytest.mark.parametrize("value", ["no_such_module:COMMAND", "unpoison.cli:main", "unpoison.cli.clean:COMMAND"])
def test_a_command_of_another_package_that_cannot_be_used_is_left_out(value, monkeypatch, capfd):
    broken = EntryPoint("broken", value, "unpoison.commands")
    monkeypatch.setattr("unpoison.cli.entry_points", lambda group: [broken])
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capfd.readouterr()
    assert "'broken' of" in shown.err
    assert "update or uninstall that package" in shown.err
    assert shown.out.count("clean a dataset into WebDataset shards") == 1
