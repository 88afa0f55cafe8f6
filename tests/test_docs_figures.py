"""The figures in the tables of README and docs are those of benchmarks/results/."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ATTACKS = {
    "BadNets": "badnets", "Blend": "blend", "SIG (clean label)": "sig", "WaNet": "wanet", "ISSBA": "issba",
    "Refool (clean label)": "refool", "Composite": "composite", "AdaptiveBlend": "adaptive_blend",
    "BadNets, moving patch": "badnets_dynamic", "BadNets, all-to-all": "badnets, all to all",
    "BadNets and Blend": "badnets+blend",
}  # fmt: skip
DETECTORS = {
    "SPECTRE": "spectre", "Activation Clustering": "activation_clustering", "SCAn": "scan", "ART": "art",
    "Spectral Signatures": "spectral", "post-training feature": "post_training",
}  # fmt: skip


def tables(page: str, header: str) -> list[dict[str, str]]:
    """The rows of the table whose header begins like this; headings that recur belong to the last named method."""
    lines = (ROOT / page).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(header))
    names, method = [], ""
    for cell in cells(lines[start]):
        method = cell.split(":")[0] + ": " if ":" in cell else method
        names.append(cell if ":" in cell else method + cell)
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, cells(line), strict=True)))
    return rows


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def row_name(poison: str) -> str:
    """ "BadNets, 1 %" is "badnets-1"."""
    if poison == "no poison":
        return "clean"
    attack, rate = re.fullmatch(r"(.*), ([\d.]+) %", poison).groups()
    return f"{ATTACKS[attack]}-{rate}"


def percent(value, digits=1):
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def pair(one, other, show):
    return "-" if one is None and other is None else f"{show(one)} / {show(other)}"


@pytest.mark.parametrize(("page", "rows"), [("README.md", 8), ("docs/figures.md", 16)])
def test_pdautor(page, rows):
    found = tables(page, "| data | poison | seed |")
    assert len(found) == rows
    for row in found:
        name = f"{row['data'].replace('-', '').lower()}-{row_name(row['poison'])}"
        facts = json.loads((RESULTS / f"core-cpu-seed{row['seed']}" / f"{name}.json").read_text())
        assert row["average precision"] == number(facts["average_precision"], 3), name
        assert row["TPR"] == percent(facts["tpr"]), name
        assert row["FPR"] == percent(facts["fpr"], 2), name
        assert row["prepare"] == f"{facts['prepare_seconds']:.0f} s", name
        shown = pair(facts["error_changed"], facts["error_changed_nothing"], lambda value: number(value, 4))
        if facts["error_changed"] is not None:
            assert row["error in the changed pixels, restored / as it came"] == shown, name
        shown = pair(facts.get("asr_input"), facts.get("asr_output"), percent)
        assert row["ASR of a model, before / after"] == shown, name


@pytest.mark.parametrize(("page", "rows"), [("README.md", 6), ("docs/figures.md", 15)])
def test_bab(page, rows):
    found = tables(page, "| poison | preset | seed |")
    assert len(found) == rows
    for row in found:
        name = f"cifar10-{row_name(row['poison'])}{'-paper' if row['preset'] == 'paper' else ''}"
        facts = json.loads((RESULTS / f"bab-cpu-seed{row['seed']}" / f"{name}.json").read_text())
        assert row["average precision"] == number(facts["average_precision"], 3), name
        assert row["CDR"] == percent(facts["cdr"]), name
        assert row["PDR"] == percent(facts["pdr"]), name
        assert row["prepare"] == f"{facts['prepare_seconds']:.0f} s", name
        if row["accuracy, before / after"] != "-":
            shown = pair(facts["accuracy_input"], facts["accuracy_output"], percent)
            assert row["accuracy, before / after"] == shown, name
            assert row["ASR, before / after"] == pair(facts["asr_input"], facts["asr_output"], percent), name


def test_all_detectors():
    lines = json.loads((RESULTS / "cpu-cpu" / "ours.json").read_text())["lines"]
    measured = {(line["row"], line["group"]): line["values"] for line in lines}
    found = tables("README.md", "| poison | seeds | ASR |")
    assert len(found) >= 8
    for row in found:
        name = row_name(row["poison"]).replace("-", " ") + (" %" if row["poison"] != "no poison" else "")
        seeds = row["seeds"].split(", ")

        def mean(group, key, name=name, seeds=seeds):
            values = measured[name, group][key]
            return sum(values[seed] for seed in seeds) / len(seeds) if values else None

        assert row["ASR"] == percent(mean("network", "ASR")), name
        for method in ("pdautor", "bab", "ensemble"):
            assert row[f"`{method}`: AP"] == number(mean(method, "average precision"), 3), name
            if method != "bab":
                assert row[f"`{method}`: TPR"] == percent(mean(method, "TPR")), name
                assert row[f"`{method}`: FPR"] == percent(mean(method, "FPR"), 2), name
        best = row["best published detector: AP"]
        if best != "-":
            value, detector = re.fullmatch(r"([\d.]+) \((.*)\)", best).groups()
            scores = {group: mean(group, "average precision") for group in DETECTORS.values()}
            assert value == number(scores[DETECTORS[detector]], 3), name
            assert value == number(max(scores.values()), 3), name


def test_tables_beside_the_papers():
    text = (ROOT / "benchmarks" / "README.md").read_text().partition("\n## Tables\n")[2].partition("\n## ")[0]
    sections = text.split("\n### ")[1:]
    assert len(sections) >= 2
    for section in sections:
        source = re.search(r"`(results/cpu-cpu/[\w-]+\.md)`", section).group(1)
        shown = [line for line in section.splitlines() if line.startswith("|")]
        assert len(shown) > 2, source
        assert set(shown) <= set((ROOT / "benchmarks" / source).read_text().splitlines()), source


def test_stages():
    text = (ROOT / "docs" / "scale.md").read_text()
    sources = dict(re.findall(r"^(\d)\. `benchmarks/results/(\S+)`", text, re.M))
    found = {row.pop(""): row for row in tables("docs/scale.md", "| | 1 | 2 |")}
    columns = {column: json.loads((RESULTS / source).read_text()) for column, source in sources.items()}
    assert len(columns) == 7
    assert found.pop("images") == {column: f"{facts['samples']:,}" for column, facts in columns.items()}
    assert found.pop("all, s") == {column: number(facts["prepare_seconds"], 0) for column, facts in columns.items()}
    peaks = {column: f"{facts['peak_memory_mb']:,.0f}" for column, facts in columns.items()}
    assert found.pop("peak memory, MB") == peaks
    for stage, row in found.items():
        assert row == {column: number(facts["timings"].get(stage), 0) for column, facts in columns.items()}, stage
    assert {stage for facts in columns.values() for stage in facts["timings"]} == set(found)
    before = [facts["peak_memory_before_mb"] for facts in columns.values()]
    assert f"{min(before):.0f} to {max(before):.0f} MB" in text


def test_cost_in_the_readme():
    text = (ROOT / "README.md").read_text()
    idle = json.loads((RESULTS / "core-cpu-seed0-again" / "cifar10-blend-1.json").read_text())
    assert idle["machine"]["torch_threads"] == 2
    assert f"took {idle['prepare_seconds']:.0f} s on the two cores" in text
    files = [path for path in (RESULTS / "core-cpu-seed0").glob("cifar10-*.json") if "paper" not in path.stem]
    seconds = [json.loads(path.read_text())["prepare_seconds"] for path in files]
    assert f"{min(seconds):.0f} to {max(seconds):.0f} s on one busy core" in text


def test_serving():
    facts = json.loads((RESULTS / "serving-cpu.json").read_text())
    text = (ROOT / "docs" / "scale.md").read_text()
    ways = {"torchvision's": "ImageFolder", "`SanitizedDataset`": "SanitizedDataset"}
    for row, way in {**ways, "`SanitizedDataset.from_shards`": "its shards"}.items():
        speeds = [facts["access"][where]["images_per_second"][way] for where in ("one process", "two workers")]
        line = next(line for line in text.splitlines() if line.startswith(f"| {row} "))
        assert cells(line)[1:] == [f"{speed:,.0f}" for speed in speeds]
    one = facts["access"]["one process"]["images_per_second"]
    assert f"{one['SanitizedDataset'] / one['ImageFolder']:.1f} times as fast" in (ROOT / "README.md").read_text()
    assert f"{facts['map']['images_per_second']['no row restored']:,.0f} rows a second" in text


def test_warm_start():
    text = " ".join((ROOT / "docs" / "scale.md").read_text().split())
    rows = {
        data: list(json.loads((RESULTS / f"warm-start-{data}-cpu.json").read_text())["rows"].values())
        for data in ("cifar10", "gtsrb")
    }
    (known, *times) = sorted(row["time_ratio"] for found in rows.values() for row in found)
    assert f"takes {min(times):.2f} to {max(times):.2f} of the time" in text
    assert f"in {known:.3f} of the time" in text
    for data, after in (("cifar10", "of the trained one's on CIFAR-10"), ("gtsrb", "of it on GTSRB")):
        errors = [row["error_ratio"] for row in rows[data]]
        assert f"{min(errors):.2f} to {max(errors):.2f} {after}" in text


def test_prose():
    def facts(name):
        return json.loads((RESULTS / f"{name}.json").read_text())

    def words(page):
        return " ".join((ROOT / "docs" / page).read_text().split())

    core = {name: facts(f"core-cpu-seed0/cifar10-{name}") for name in ("badnets-1", "blend-1", "blend-0.3")}
    paper = {name: facts(f"core-cpu-seed0/cifar10-{name}-paper") for name in ("badnets-1", "blend-1")}
    precision = [f"{rows[name]['average_precision']:.3f}" for rows in (paper, core) for name in paper]
    assert "{} for BadNets and {} for Blend, the default {} and {}".format(*precision) in words("pdautor.md")
    error = [f"{rows[name]['error_changed']:.4f}" for rows in (paper, core) for name in paper]
    text = "of {} (BadNets) and {} (Blend) with a small one, against {} and {}"
    assert text.format(*error) in words("pdautor.md")
    alone = paper["blend-1"]["error_changed_nothing"]
    assert f"leaving Blend alone would have been {alone:.4f}" in words("pdautor.md")

    kept = {
        preset: [
            100 * facts(f"bab-cpu-seed0/cifar10-{name}{preset}")["pdr"] for name in ("badnets-5", "blend-10", "sig-5")
        ]
        for preset in ("", "-paper")
    }
    assert f"keep {min(kept['-paper']):.1f} to {max(kept['-paper']):.1f} % of the poison" in words("bab.md")
    assert f"the default {min(kept['']):.1f} to {max(kept['']):.1f} % of the same" in words("bab.md")

    assert f"{percent(core['badnets-1']['lra'])} right for the row BadNets, 1 %" in words("limits.md")
    assert core["badnets-1"]["lra"] == core["badnets-1"]["lra_ceiling"]
    assert (core["blend-0.3"]["poisoned"], core["blend-0.3"]["tpr"]) == (30, 1)
    lines = json.loads((RESULTS / "cpu-cpu" / "ours.json").read_text())["lines"]
    moving = next(line for line in lines if (line["row"], line["group"]) == ("badnets_dynamic 1 %", "pdautor"))
    assert moving["values"]["TPR"]["0"] > 0.9
    joined = next(line for line in lines if (line["row"], line["group"]) == ("composite 1 %", "pdautor"))
    assert min(joined["values"]["TPR"].values()) > 0.8
