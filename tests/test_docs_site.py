"""The pages as a whole: links, navigation, names of files, the API reference, and the site that is built from them."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import griffe
import markdown
import pytest
import yaml

import unpoison

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
WITH_LINKS = [
    ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", ROOT / "benchmarks" / "README.md", *PAGES,
    *sorted(ROOT.glob("hub_models/*/README.md")),
]  # fmt: skip
PACKAGES = {"unpoison": ROOT / "src", "unpoison_bench": ROOT / "benchmarks"}
SOURCES = sorted(path for name, folder in PACKAGES.items() for path in (folder / name).glob("**/*.py"))
PUBLIC_MODULES = (
    "unpoison.attacks",
    "unpoison.metrics",
    "unpoison.restoration",
    "unpoison.triggers",
    "unpoison.errors",
)


class Parts(HTMLParser):
    """Links, anchors and outside resources of a page."""

    def __init__(self, html):
        super().__init__()
        self.links, self.anchors, self.loaded = [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if "id" in attributes:
            self.anchors.add(attributes["id"])
        if tag in ("script", "link", "img", "iframe"):
            self.loaded.append(attributes.get("src") or attributes.get("href") or "")


def parts_of(path: Path) -> Parts:
    return Parts(markdown.markdown(path.read_text(), extensions=["toc", "tables", "fenced_code"]))


def check_link(link: str, page: Path) -> None:
    target = urlsplit(link)
    if target.scheme:
        assert target.scheme in ("https", "http"), link
        assert re.fullmatch(r"[\w.-]+\.[a-z]{2,}", target.netloc), link
        return
    path = (page.parent / unquote(target.path)).resolve() if target.path else page
    assert path.exists(), f"{page.name} links to {link}, which is not there"
    assert path.is_relative_to(ROOT)
    if target.fragment:
        assert target.fragment in parts_of(path).anchors, f"{page.name} links to {link}, which has no such heading"


@pytest.mark.parametrize("page", WITH_LINKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page):
    for link in parts_of(page).links:
        check_link(link, page)


def test_a_dead_link_is_noticed(tmp_path):
    for link in (
        "nowhere.md",
        f"{os.path.relpath(DOCS / 'hub.md', tmp_path)}#nowhere",
        "https://",
        "ftp://example.org",
    ):
        with pytest.raises(AssertionError):
            check_link(link, tmp_path / "page.md")


def test_addresses_in_docstrings():
    for path in SOURCES:
        for address in re.findall(r"https?://[^\s)>\"'`]+", path.read_text()):
            if "{" not in address:
                check_link(address, path)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_files_named_in_the_text_exist(page):
    """Names in code style that look like files of the repository."""
    for name in re.findall(r"`((?:[\w.-]+/)+(?:[\w.+-]+\.(?:py|json|md))?)`", page.read_text()):
        top = name.split("/")[0]
        if (ROOT / top).is_dir() or (ROOT / "src" / "unpoison" / top).is_dir():
            assert (ROOT / name).exists() or (ROOT / "src" / "unpoison" / name).exists(), f"{page.name}: {name}"


def test_every_page_is_in_the_navigation():
    class Loader(yaml.SafeLoader):
        pass

    def names(entry):
        if isinstance(entry, str):
            return [entry]
        return [name for part in (entry.values() if isinstance(entry, dict) else entry) for name in names(part)]

    found = names(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"])
    assert sorted(found) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


# Names.


def public_names() -> list[str]:
    """Of the package, its public subpackages, and what their names are made of."""
    names = [f"unpoison.{name}" for name in unpoison.__all__ if name != "__version__"]
    for module in map(import_module, PUBLIC_MODULES):
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "") or ""
            if (
                not name.startswith("_")
                and own.startswith(module.__name__)
                and (inspect.isclass(value) or callable(value))
            ):
                names.append(f"{module.__name__}.{name}")
    return sorted(names)


@pytest.fixture(scope="module")
def tree():
    """Both packages."""
    loader = griffe.GriffeLoader(search_paths=PACKAGES.values())
    for name in PACKAGES:
        loader.load(name)
    loader.resolve_aliases(implicit=True, external=False)
    return loader.modules_collection


@pytest.fixture(scope="module")
def on_the_api_page():
    text = (DOCS / "api.md").read_text()
    return re.findall(r"^::: (\S+)", text, re.M)


def test_every_public_name_is_on_the_api_page(on_the_api_page):
    modules = {name for name in on_the_api_page if name in PUBLIC_MODULES}
    shown = {name.rpartition(".")[2] for name in on_the_api_page}
    missing = [
        name
        for name in public_names()
        if name.rpartition(".")[2] not in shown and name.rpartition(".")[0] not in modules
    ]
    assert not missing
    assert len(set(on_the_api_page)) == len(on_the_api_page)


def undocumented(thing, name) -> list[str]:
    """The thing itself, and its public attributes and methods, where they have no docstring; inherited ones count."""
    thing = thing.final_target if thing.is_alias else thing
    missing = [] if thing.has_docstring else [name]
    if thing.is_class:
        for part, member in thing.all_members.items():
            if part.startswith("_") or (member.is_alias and not member.inherited):
                continue
            inherited = any(
                part in base.members and base.members[part].has_docstring for base in thing.mro() if base is not thing
            )
            if not (member.has_docstring or inherited or (member.is_attribute and described(thing, part))):
                missing.append(f"{name}.{part}")
    return missing


def described(thing, attribute) -> bool:
    """Whether the docstring of a class, or of a class that it is derived from, has it under Attributes or Args."""
    texts = [kind.docstring.value for kind in (thing, *thing.mro()) if kind.docstring]
    return any(re.search(rf"^\s+{attribute}: ", text, re.M) for text in texts)


def test_every_public_name_is_documented(tree, on_the_api_page):
    names = {*public_names(), *on_the_api_page} - {*PUBLIC_MODULES}
    missing = [part for name in sorted(names) for part in undocumented(tree[name], name)]
    assert not missing


def test_every_module_is_documented():
    assert not [path for path in SOURCES if path.stat().st_size and not path.read_text().startswith('"""')]


# The site.


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    yield out
    shutil.rmtree(out)


def test_site_needs_no_network(site):
    for page in site.glob("**/*.html"):
        assert not [address for address in Parts(page.read_text()).loaded if urlsplit(address).netloc], page.name
    for sheet in site.glob("**/*.css"):
        assert not re.search(r"url\([\"']?https?:", sheet.read_text()), sheet.name


def test_links_of_the_site(site):
    pages = {page: Parts(page.read_text()) for page in site.glob("*.html") if page.name != "404.html"}
    for page, parts in pages.items():
        for link in parts.links:
            target = urlsplit(link)
            if target.scheme or not (target.path or target.fragment):
                continue
            path = (page.parent / target.path).resolve() if target.path else page
            assert path.exists(), f"{page.name}: {link}"
            if target.fragment and path in pages:
                assert unquote(target.fragment) in pages[path].anchors, f"{page.name}: {link}"


def test_formulas_are_mathml(site):
    for name in ("pdautor", "bab"):
        html = (site / f"{name}.html").read_text()
        assert "<math" in html
        assert "$" not in re.sub(r"<script.*?</script>", "", html, flags=re.S)
