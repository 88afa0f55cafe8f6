"""Every code block of the README and of the pages below docs/ runs, on scikit-learn's digits.

The blocks of one page share a namespace and a folder, from top to bottom. The settings of preset "default" are those
of "fast" here.
"""

import re
import shlex
import tomllib
from pathlib import Path

import datasets
import pytest
import webdataset
from PIL import Image
from sybil import Document
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from restorers import make_restorer
from signing_keys import write_key
from unpoison import cli, detectors, restoration
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.demo import load_digits
from unpoison.detection import config as detection
from unpoison.methods import registry as methods
from unpoison.stages import registry as stages
from unpoison.triggers import registry
from unpoison.verification import config as verification

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRAIN, RATE = 1000, 0.05
PARSED_ONLY = ("demo", "CIFAR10")
"""Lines with these words do not run: the demo has its own test, and nothing is downloaded."""

pytestmark = pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning",
    "ignore:Use 'content=:DeprecationWarning",  # By the Hub's client, of its HTTP library.
    "ignore:This DataLoader will create:UserWarning",  # On machines with fewer cores than workers.
    "ignore:unclosed file:ResourceWarning",  # By webdataset, which leaves tars open.
)


def write_folder(folder: Path, images, labels) -> None:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.squeeze()).save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder that the pages work in, and a cache that they share."""
    place = tmp_path_factory.mktemp("docs")
    digits = load_digits()
    images, labels = digits.images, digits.labels
    train = list(zip(images[:TRAIN], labels[:TRAIN].tolist(), strict=True))
    poisoned = PoisonedDataset(train, BadNets(size=2), rate=RATE, target=0)
    write_folder(place / "photos", *zip(*poisoned, strict=True))
    write_folder(place / "held-out", images[TRAIN:], labels[TRAIN:])
    files = sorted((place / "photos").glob("*/*.png"))
    rows = {"image": [str(path) for path in files], "label": [int(path.parent.name) for path in files]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(10)})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(place / "train.parquet")
    write_key(place)
    (place / "shards").mkdir()
    with webdataset.TarWriter(str(place / "shards" / "00000.tar")) as tar:
        for path in files:
            tar.write({"__key__": path.stem, "png": path.read_bytes(), "cls": int(path.parent.name)})
    return place


@pytest.fixture
def at_place(place, hub, monkeypatch, tmp_path):
    """The page runs there, with the settings of "fast" and a restorer on the Hub; what it registers is forgotten."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("UNPOISON_CACHE", str(place / "cache"))
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    monkeypatch.setattr(stages, "_STAGES", dict(stages._STAGES))
    monkeypatch.setattr(methods, "_METHODS", dict(methods._METHODS))
    monkeypatch.setattr(detectors, "_REGISTERED", {})
    for settings in (detection, verification, restoration):
        monkeypatch.setattr(settings, "DEFAULT", settings.FAST)
    folder = make_restorer().save_pretrained(tmp_path / "restorer")
    hub.add("user/restorer", {path.name: path.read_bytes() for path in folder.iterdir()})
    return place


def run_shell(example) -> None:
    for line in example.parsed.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            SHELL[words[0]](*words[1:])


def run_unpoison(command, *arguments) -> None:
    cli._parser().parse_args([command, *arguments])
    if not {command, *arguments} & set(PARSED_ONLY):
        assert cli.main([command, *arguments]) == 0


def check_make(target) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def check_pip(command, what) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert command == "install"
    extra = re.fullmatch(r"(?:\.|unpoison)(?:\[(\w+)\])?", what)[1]
    assert extra is None or extra in extras


def make_key(*options):
    """As the fixture does, without a password, for which the program asks."""
    assert options == ("-G", "-s", "minisign.key", "-p", "minisign.pub")
    write_key(Path())


SHELL = {"unpoison": run_unpoison, "make": check_make, "pip": check_pip, "minisign": make_key}


def blocks_of(page: Path) -> list:
    return list(Document.parse(str(page), PythonCodeBlockParser(), CodeBlockParser("sh", run_shell)).examples())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.stem)
def test_blocks_run(page, at_place):
    for example in blocks_of(page):
        example.evaluate()


def test_no_block_is_of_another_language():
    for page in PAGES:
        languages = re.findall(r"^```(\S*)\n.*?^```$", page.read_text(), re.M | re.S)
        assert set(languages) <= {"python", "sh", "bibtex", "toml"}, page.name
