"""What a disk may hold after the power was lost, from the calls that were made until then.

What was brought to the disk by `fsync` is there: a file's content, or the names in a folder. Nothing else is promised.
A folder has the names that it had last, or at its last `fsync`; a file has what it held last or at its last `fsync`, a
part of it, or zeros.
"""

import shutil
from pathlib import Path

import numpy as np

from faulty import Call

Tree = dict[str, bytes | None]
"""What each file below a folder holds; None for folders."""


class _File:
    def __init__(self, content=b"") -> None:
        self.last = self.safe = content


class _Folder:
    def __init__(self) -> None:
        self.last: dict[str, _File | _Folder] = {}
        self.safe: dict[str, _File | _Folder] = {}


class Killed:
    """The process ended, and the system went on: everything is there."""

    def names(self, folder):
        return folder.last

    def content(self, file):
        return file.last


class OnlyWhatIsSafe:
    """The worst: nothing but what was brought to the disk."""

    def names(self, folder):
        return folder.safe

    def content(self, file):
        return file.safe


class NamesFirst(OnlyWhatIsSafe):
    """As many file systems do it: the names are there before the contents."""

    names = Killed.names


class ByChance:
    """Any of what may be."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def names(self, folder):
        return folder.last if self._rng.random() < 0.5 else folder.safe

    def content(self, file):
        choices = [file.last, file.safe, file.last[: len(file.last) // 2], bytes(len(file.last))]
        return file.last if file.last == file.safe else choices[self._rng.integers(len(choices))]


class Model:
    """A folder while calls are made.

    Args:
        before: what was there, safe on the disk.
    """

    def __init__(self, before: Tree) -> None:
        self._above = _Folder()
        self._root = self._above.last["."] = _Folder()
        for path, content in before.items():
            folder, name = self._place(path)
            folder.last[name] = folder.safe[name] = _Folder() if content is None else _File(content)

    def make(self, call: Call) -> None:
        folder, name = self._place(call.path)
        match call.kind:
            case "create":
                folder.last.setdefault(name, _File()).last = b""
            case "write":
                file, end = folder.last[name], call.offset + len(call.data)
                file.last = file.last[: call.offset].ljust(call.offset, b"\0") + call.data + file.last[end:]
            case "fsync" if isinstance(node := folder.last[name], _File):
                node.safe = node.last
            case "fsync":
                node.safe = dict(node.last)
            case "mkdir":
                folder.last[name] = _Folder()
            case "rename":
                other, target = self._place(call.target)
                other.last[target] = folder.last.pop(name)
            case "exchange":
                other, target = self._place(call.target)
                other.last[target], folder.last[name] = folder.last[name], other.last[target]
            case "unlink" | "rmdir":
                del folder.last[name]

    def tree(self, crash) -> Tree:
        found: Tree = {}

        def add(folder, prefix):
            for name, node in sorted(crash.names(folder).items()):
                found[prefix + name] = None if isinstance(node, _Folder) else crash.content(node)
                if isinstance(node, _Folder):
                    add(node, f"{prefix}{name}/")

        add(self._root, "")
        return found

    def _place(self, path):
        if path == ".":
            return self._above, path
        *above, name = Path(path).parts
        folder = self._root
        for part in above:
            folder = folder.last[part]
        return folder, name


def tree_of(root: Path) -> Tree:
    paths = sorted(root.rglob("*"))
    return {path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes() for path in paths}


def lay(tree: Tree, root: Path) -> None:
    """Makes a folder that holds this and nothing else."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for path, content in sorted(tree.items()):
        (root / path).mkdir() if content is None else (root / path).write_bytes(content)
