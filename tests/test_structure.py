"""How the package is built: short files, short functions, and floors, of which none knows what is above it."""

import ast
import functools
from graphlib import TopologicalSorter
from pathlib import Path

import unpoison

ROOT = Path(unpoison.__file__).parent
FILE, FUNCTION = 350, 60
FLOORS = [
    "errors keep printable progress rules training.devices",
    "context",
    "checks plugins",
    "data.checksums data.files data.outputs data.reading data.signatures",
    "hub image_files settings signing",
    "features",
    "training",
    "triggers",
    "pictures",
    "results",
    "html illustration samples",
    "report",
    "left_out review",
    "data",
    "detectors.__init__ detectors.base",
    "attacks detection metrics restoration.config",
    "detectors verification",
    "explanation",
    "restoration",
    "config",
    "stages",
    "methods",
    "native",
    "publishing working_copy",
    "sanitizer",
    "dataset tables",
    "downstream",
    "demo improvement",
    "__init__",
    "cli",
]
"""Packages, and modules that stand elsewhere than the rest of theirs, from the ground up."""
FLOOR = {part: number for number, floor in enumerate(FLOORS) for part in floor.split()}


@functools.cache
def sources():
    """The text of each module, by its name within the package."""
    paths = sorted(ROOT.rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text("utf-8") for path in paths}


@functools.cache
def trees():
    return {name: ast.parse(text) for name, text in sources().items()}


def module_at(parts):
    """The name of the module, or of the package's `__init__`, at a path within the package; None where it is none."""
    return next((name for name in (".".join(parts), ".".join([*parts, "__init__"])) if name in sources()), None)


@functools.cache
def imports_of(name):
    """What a module imports of the package, also within functions and for type checks alone."""
    found = set()
    for node in ast.walk(trees()[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = [*name.split(".")[: -node.level], *filter(None, [node.module])]
            found |= {module_at([*package, alias.name]) or module_at(package) for alias in node.names}
    return found - {name}


def floor_of(name):
    """The number of a module's floor."""
    parts = name.split(".")
    known = [FLOOR[part] for n in range(len(parts), 0, -1) if (part := ".".join(parts[:n])) in FLOOR]
    assert known, f"{name} is on no floor: name it in FLOORS"
    return known[0]


def test_files_are_short():
    assert not [name for name, text in sources().items() if len(text.splitlines()) > FILE]


def test_functions_are_short():
    long = {
        f"{name}.{node.name}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= FUNCTION
    }
    assert not long


def test_no_floor_knows_a_higher_one():
    up = {(name, other) for name in trees() for other in imports_of(name) if floor_of(other) > floor_of(name)}
    assert not up


def test_imports_run_in_no_circle():
    TopologicalSorter({name: imports_of(name) for name in trees()}).prepare()  # it names the circle
