"""What comes with the package and with its benchmarks, as it is installed here: are all licences permissive?

Prints `name==version` of each, as pip-audit takes it. Looks at nothing but installed metadata, so it needs no network.
"""

import re
import sys
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib",
    "MPL-2.0",  # no more than its own files stay under it, and we change none: tqdm's
    # What older metadata says instead.
    "Apache Software License", "BSD", "BSD License", "ISC License (ISCL)", "MIT License",
    "Mozilla Public License 2.0 (MPL 2.0)", "Python Software Foundation License",
}  # fmt: skip
OURS = {"unpoison": ("metrics", "sign"), "unpoison-bench": ()}
"""Packages of this repository that people install, with their extras."""
NVIDIA = ("nvidia-", "cuda-toolkit")
"""Its runtime under its own licence, which PyTorch's wheels for Linux bring, and those for the CPU do not."""


def installed(name: str, extras: tuple[str, ...]) -> dict[str, Distribution]:
    """Everything that a package needs, by name, without itself."""
    found: dict[str, Distribution] = {}
    waiting = [(name, extras)]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found[name] = distribution(name)
        for text in found[name].requires or []:
            requirement = Requirement(text)
            if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                continue
            one = canonicalize_name(requirement.name), tuple(sorted(requirement.extras))
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return found


def not_permissive(metadata: dict[str, list[str]]) -> list[str]:
    """What a licence consists of and is not among `PERMISSIVE`, also where there is a choice."""
    names = [text.split(" :: ")[-1] for text in metadata.get("Classifier", []) if text.startswith("License")]
    names = [name for name in names if name != "OSI Approved"]  # which says nothing
    if expressions := metadata.get("License-Expression") or (not names and metadata.get("License")):
        names = re.split(r" (?:AND|OR) ", re.sub(r"[()]", "", expressions[0]))
    return sorted({name[:60] for name in names or ["not stated"]} - PERMISSIVE)


def audited() -> dict[str, Distribution]:
    """Everything that is looked at, by name."""
    found = {name: one for ours, extras in OURS.items() for name, one in installed(ours, extras).items()}
    return {name: found[name] for name in sorted(found.keys() - OURS.keys())}


def main() -> int:
    wrong = {}
    for name, one in audited().items():
        print(f"{name}=={one.version}")
        metadata = {key: one.metadata.get_all(key) or [] for key in ("Classifier", "License", "License-Expression")}
        if not name.startswith(NVIDIA) and (terms := not_permissive(metadata)):
            wrong[name] = terms
    for name, terms in wrong.items():
        print(f"{name}: not known to be permissive: {', '.join(terms)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
