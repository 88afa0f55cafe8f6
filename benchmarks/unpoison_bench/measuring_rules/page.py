"""The table of all numbers, of what all files hold."""

from collections.abc import Mapping, Sequence
from typing import Any

from unpoison import rules

from ..results import Measures
from ..table import MISSING, machine_line, markdown_table
from .rows import ROWS, UNMEASURED, Row

_ABOUT = """# What the numbers that decide by themselves are compared with

Of each number, what clean data and poison reach (or what else lies on its two sides, as named), on sets of the half
`develop` of `unpoison bench false-alarms`. "Worst" is the value nearest to the other side, or furthest in it; the
margin, in the number's own unit, is below zero where it is on the wrong side of the number, and "wrong" counts such
values. Numbers decide together: what one lets through, another one may stop, so a count of wrong ones is no count of
false alarms. Some sets share images. "Not run": no set was measured yet; a dash: no measured set showed such a
value."""
_HEADINGS = (
    "number", "group", "value", "unit", "sides", "n", "wrong", "worst", "margin", "set", "n", "wrong", "worst",
    "margin", "set", "not measured",
)  # fmt: skip


def summary(measured: Sequence[Measures], sizes: Mapping[str, int]) -> dict[str, Any]:
    """What all files say about every number, as JSON values.

    Args:
        measured: one file for each group and set.
        sizes: by group, how many sets it has.
    """
    done = {group: sum(entry["group"] == group for entry in measured) for group in sizes}
    return {
        "groups": {group: {"measured": done[group], "sets": size} for group, size in sizes.items()},
        "numbers": [_number(row, measured, done[row.group] > 0) for row in ROWS],
        "unmeasured": [
            {"number": name, "value": rules.numbers()[name], "reason": reason} for name, reason in UNMEASURED.items()
        ],
        "sets": [
            {name: entry[name] for name in ("group", "set", "seconds", "observations", "machine")} for entry in measured
        ],
    }


def page(facts: dict[str, Any]) -> str:
    """Markdown of a summary."""
    lines = [
        [
            f"`{entry['name']}`", entry["group"], f"{entry['value']:g}", entry["unit"], " / ".join(entry["sides"]),
            *(cell for side in ("clean", "poison") for cell in _cells(entry, side)), entry["lacks"] or MISSING,
        ]
        for entry in facts["numbers"]
    ]  # fmt: skip
    others = [[f"`{entry['number']}`", _shown(entry["value"]), entry["reason"]] for entry in facts["unmeasured"]]
    covered = ", ".join(f"`{name}` {one['measured']} of {one['sets']}" for name, one in facts["groups"].items())
    machines = dict.fromkeys(machine_line(entry["machine"]) for entry in facts["sets"])
    return "\n\n".join(
        [
            _ABOUT,
            f"Sets measured: {covered}.",
            markdown_table(_HEADINGS, lines),
            "## Nothing to measure",
            markdown_table(["number", "value", "why"], others),
            "\n".join(f"- {line}" for line in machines) + "\n",
        ]
    )


def _number(row: Row, measured: Sequence[Measures], ran: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "number": row.number, "name": row.name, "value": row.value, "unit": row.unit, "group": row.group,
        "poison_is": row.poison, "sides": list(row.sides), "lacks": row.lacks, "ran": ran,
    }  # fmt: skip
    for side in ("clean", "poison"):
        # Clean data is worst where it reaches furthest towards the poison, and the other way round.
        largest = (side == "clean") == (row.poison == "above")
        key, choose = ("most", max) if largest else ("least", min)
        seen = {
            entry["set"]: entry["observations"][row.name][side]
            for entry in measured
            if side in entry["observations"].get(row.name, {})
        }
        found[side] = None
        if seen:
            worst = choose(seen, key=lambda name: seen[name][key])
            value = seen[worst][key]
            found[side] = {
                "n": sum(one["n"] for one in seen.values()),
                "wrong": sum(one["wrong"] for one in seen.values()),
                "worst": value,
                "margin": row.value - value if largest else value - row.value,
                "set": worst,
            }
    return found


def _cells(entry: dict[str, Any], side: str) -> list[str]:
    seen = entry[side]
    if seen is None:
        return [MISSING if entry["ran"] else "not run", *[MISSING] * 4]
    return [str(seen["n"]), str(seen["wrong"]), f"{seen['worst']:.3g}", f"{seen['margin']:+.3g}", seen["set"]]


def _shown(value: Any) -> str:
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"
