"""Charts as inline SVG, drawn with matplotlib, in the page's own colours and fonts."""

import io
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from ..results import ClassEvidence, Results
from .words import class_name

MAX_CLASSES = 30
BINS = 60
WIDTH = 5.0
"""Inches of 72 points: on a phone text comes out at its own size, elsewhere larger."""
_INK, _MUTED, _FLAGGED, _CLEAR = "#010203", "#010204", "#010205", "#010206"
_COLOURS = {_INK: "--ink", _MUTED: "--muted", _FLAGGED: "--flagged", _CLEAR: "--clear"}
_STYLE: Any = {
    "svg.fonttype": "none", "font.size": 10, "text.color": _INK, "axes.edgecolor": _MUTED, "axes.labelcolor": _INK,
    "xtick.color": _INK, "ytick.color": _INK, "axes.spines.top": False, "axes.spines.right": False,
    "text.parse_math": False, "axes.unicode_minus": False,
}  # fmt: skip
_LONGEST = 24


class Gate(NamedTuple):
    """A statistic of every class that a gate compares with a constant."""

    title: str
    axis: str
    text: str
    """What it is."""
    value: str
    """Name of the statistic in `ClassEvidence.details`; "" for the evidence itself."""
    needed: str
    """The same of the constant."""

    def value_of(self, entry: ClassEvidence) -> float:
        return entry.details.get(self.value, np.nan) if self.value else entry.evidence


_PIXELS = (
    "A class below its gate counts as poisoned, too, where a trigger found in its pixels works on other images, or is "
    "shown by many images of other content."
)
_CLUSTER = Gate(
    "PD-AutoR",
    "evidence",
    "Evidence is how far a suspicious part of the class stands apart, in standard deviations, times how much of that "
    "part shows what belongs to many other classes, as a network sees it that did not learn the part. Two kinds of "
    "part are weighed, a cluster that was learned and labels that everything contradicts: of each class the clearer "
    "one is shown, with its own gate. At least half of the part must belong elsewhere, too. " + _PIXELS,
    "",
    "needed",
)
_SINGULAR = Gate(
    "PD-AutoR",
    "highest score of the class",
    "The published detector has no gate: a class counts as poisoned as soon as one of its scores is above the "
    "threshold of the whole dataset, which flags a fixed share of the samples, poison or not.",
    "",
    "needed",
)
_RESISTANCE = Gate(
    "BaB",
    "separation",
    "Separation, in standard deviations, of the part of the class that resists a backdoor of our own from the rest. "
    "The part must also resist more than the rest and be the odd one out. " + _PIXELS,
    "",
    "needed",
)
_UNANIMOUS = Gate(
    "BaB",
    "share of samples",
    "Share of the class that at least one network does not call ours, once the sample carries our trigger. The "
    "published detector has no gate.",
    "",
    "needed",
)


def gates(config: dict[str, Any]) -> list[Gate]:
    """The statistics that a method's gates look at."""
    if config.get("method") == "ensemble":
        parts = [config.get(name) for name in ("pdautor", "bab")]
        first, second = (_gate(part if isinstance(part, dict) else {}) for part in parts)
        return [first, second._replace(value="bab", needed="bab needed")]
    return [_gate(config)]


def _gate(config: dict[str, Any]) -> Gate:
    if isinstance(found := config.get("verification"), dict):
        return _UNANIMOUS if found.get("decision") == "unanimous" else _RESISTANCE
    if isinstance(found := config.get("detection"), dict):
        return _SINGULAR if found.get("outliers") == "svd" else _CLUSTER
    return Gate("The method", "evidence", "The evidence that the method gives for each class.", "", "needed")


def most_suspicious(report: Results, gate: Gate) -> list[ClassEvidence]:
    """The classes that a chart shows: poisoned ones and those to look at first, then by their evidence in relation to
    what is needed."""

    def rank(entry: ClassEvidence) -> tuple[bool, float]:
        value = gate.value_of(entry) / max(entry.details.get(gate.needed, 1.0), 1e-9)
        return not entry.poisoned and entry.status != "needs a look", -value if np.isfinite(value) else np.inf

    return sorted(report.classes, key=rank)[:MAX_CLASSES]


def class_chart(report: Results, gate: Gate, name: str) -> Markup:
    """One bar per class with a mark where its gate opens; `name` is unique on the page."""
    with _drawing(name) as drawing:
        entries = most_suspicious(report, gate)
        axes = drawing.axes(0.26 * len(entries) + 0.65)
        rows = np.arange(len(entries))
        values = np.nan_to_num([gate.value_of(entry) for entry in entries], posinf=0, neginf=0)
        colours = [_FLAGGED if entry.status in ("poisoned", "needs a look") else _CLEAR for entry in entries]
        axes.barh(rows, values, 0.62, color=colours)
        for row, entry in enumerate(entries):
            value, needed = values[row], entry.details.get(gate.needed)
            text, end = _number(value), max(value, 0)
            if needed is not None and np.isfinite(needed):
                axes.plot([needed, needed], [row - 0.42, row + 0.42], color=_INK, linewidth=1.6)
                sign = ">" if value > needed else "<" if value < needed else "="
                text, end = f"{text} {sign} {_number(needed)}", max(end, needed)
            axes.annotate(text, (end, row), (5, 0), textcoords="offset points", va="center")
        axes.set_yticks(rows, [_short(class_name(report, entry.label), f" ({entry.label})") for entry in entries])
        axes.set(xlabel=gate.axis, ylim=(len(entries) - 0.5, -0.5))
        axes.margins(x=0.25)
        axes.tick_params(axis="y", length=0)
        return drawing.svg(f"{gate.axis} of each class; the numbers follow as a table")


def score_chart(report: Results, name: str) -> Markup:
    """How many samples have which score, flagged ones apart, and the threshold."""
    with _drawing(name) as drawing:
        axes = drawing.axes(2.5)
        kept = np.isfinite(report.score)
        score, flagged = report.score[kept].astype(float), report.flagged[kept]
        edges = _edges(score, report.threshold)
        for mask, colour in ((~flagged, _CLEAR), (flagged, _FLAGGED)):
            counts, _ = np.histogram(score[mask], edges)
            seen = counts > 0
            # From below one, so that a single sample is seen.
            axes.bar(edges[:-1][seen], counts[seen] - 0.5, np.diff(edges)[seen] * 0.92, 0.5, align="edge", color=colour)
        axes.axvline(report.threshold, color=_INK, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:.0f}")
        axes.minorticks_off()
        axes.set(xlabel="score", ylabel="samples (log)", ylim=(0.5, None))
        return drawing.svg("Histogram of the scores of flagged and unflagged samples")


def _edges(score: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.float64]:
    """Edges of equal bins, one of which is the threshold: no bin holds both kinds."""
    low = min(score.min(initial=threshold), threshold)
    high = max(score.max(initial=threshold), threshold)
    width = max((high - low) / BINS, 1e-6, 1e-6 * abs(threshold))
    below, above = (max(1, int(np.ceil(part / width))) for part in (threshold - low, high - threshold))
    return np.asarray(threshold + width * np.arange(-below, above + 1.0))


def _number(value: float) -> str:
    return f"{round(value, 2):.4g}"


def _short(name: str, end: str) -> str:
    """A name that fits beside a chart, with its end, and without characters that SVG cannot hold."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - len(end) - 1]}…{end}"


class _drawing:
    """matplotlib with the settings of the page, without any of its global state."""

    def __init__(self, name: str) -> None:
        import matplotlib

        self._name = name
        self._settings = matplotlib.rc_context(_STYLE | {"svg.hashsalt": name})
        self._quiet = warnings.catch_warnings()

    def __enter__(self) -> "_drawing":
        self._settings.__enter__()
        self._quiet.__enter__()
        # Letters that matplotlib's font lacks are drawn by the browser.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        return self

    def __exit__(self, *error: Any) -> None:
        self._quiet.__exit__(*error)
        self._settings.__exit__(*error)

    def axes(self, height: float) -> Any:
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="none")
        axes = self._figure.subplots()
        axes.set_facecolor("none")
        return axes

    def svg(self, label: str) -> Markup:
        """The drawing, without what only a file of its own needs, and with identifiers of its own."""
        buffer = io.StringIO()
        self._figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
        head, body = text.split(">", 1)
        box = re.search(r'viewBox="[^"]*"', head)
        assert box is not None
        body = body.replace("xlink:href", "href")
        body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self._name}-", body)
        for colour, variable in _COLOURS.items():
            body = body.replace(colour, f"var({variable})")
        return Markup('<svg role="img" aria-label="{}" {}>').format(label, Markup(box[0])) + Markup(body)  # noqa: S704
