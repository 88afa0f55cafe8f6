"""Folders of several files, one of which is changed."""

import shutil
from contextlib import contextmanager
from typing import NamedTuple

from hypothesis import strategies as st

from archives import edits_for
from listed import relist
from mutations import mutated, several
from unpoison.data.checksums import SUMS


class Case(NamedTuple):
    """A change to one file of a folder."""

    name: str
    edits: list
    listed: bool
    """Whether the checksums fit what the file then holds."""


def cases(folder, edits_for=edits_for, leaving=()):
    """Changes to each file of a folder but those of some endings."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.stat().st_size)
    names = [name for name in names if (folder / name).is_file() and not name.endswith(leaving)]

    def case(name):
        listed = st.just(False) if name.endswith(SUMS) else st.booleans()
        return st.builds(Case, st.just(name), several(edits_for(name)), listed)

    return st.sampled_from(names).flatmap(case)


@contextmanager
def changed(folder, case):
    """The folder with the change, which is taken back; gives the size of the changed file in bytes, None where the file
    is as it was."""
    whole = folder.with_name(f"{folder.name}-whole")
    if not whole.exists():
        shutil.copytree(folder, whole)
    path = folder / case.name
    data = path.read_bytes()
    new = mutated(data, case.edits)
    path.write_bytes(new)
    if case.listed:
        for above in path.parents:
            if (above / SUMS).is_file():
                relist(above)
            if above == folder:
                break
    try:
        yield len(new) if new != data else None
    finally:
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
