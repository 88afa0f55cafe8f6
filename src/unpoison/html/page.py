"""A report as one page: no other file and no network is needed to read it, and nothing in it is run but our paging."""

import base64
import hashlib
import json
from collections import Counter
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..printable import printable
from ..results import THIN, Results
from . import charts, images, words

PAGE = 24
"""Images that are shown at a time."""
UNREADABLE = 200
"""Files that could not be read and are named."""
DUPLICATES = 50
"""Groups of the same images that are listed."""
MAX_BYTES = 8_500_000
"""Of the images on a page; all else is small."""


def render(report: Results, max_bytes: int = MAX_BYTES) -> str:
    """The page as HTML.

    Args:
        max_bytes: the images may take; the least suspicious are left out.
    """
    environment = Environment(
        loader=PackageLoader("unpoison", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _own("paging.js")
    gates, findings = charts.gates(report.config), _findings(report)
    page = environment.get_template(
        "report.html.jinja"
    ).render(
        report=report,
        style=Markup(_own("style.css")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        verdict=words.verdict(report),
        counts=_counts(report),
        gates=[(gate, charts.class_chart(report, gate, f"classes{n}")) for n, gate in enumerate(gates)],
        evidence=charts.most_suspicious(report, gates[0]),
        scores=charts.score_chart(report, "scores"),
        per_page=PAGE,
        dropped=_dropped(report),
        duplicates=_duplicates(report),
        votes=_votes(report),
        findings=findings,
        hero=findings[0] if words.main_footprint(report) is not None else None,
        thin=sum(entry.size < THIN for entry in report.classes),
        few=THIN,
        call=words.reproduce(report),
        config=json.dumps(report.config, indent=1, default=str),
        name=lambda label: words.class_name(report, int(label)),
        reasons=words.REASONS,
        status=words.STATUS,
        unreadable=[(entry.position, entry.file, entry.reason) for entry in report.unreadable[:UNREADABLE]],
        **_gallery(report, max_bytes),
    )
    return printable(page)


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _counts(report: Results) -> list[tuple[str, int]]:
    flagged = report.flagged
    found = [("images", len(report)), ("flagged", int(flagged.sum()))]
    found += [(f"as {kind}", int((report.kind[flagged] == kind).sum())) for kind in np.unique(report.kind[flagged])]
    for action, text in (("restore", "restored"), ("drop", "dropped")):
        found.append((text, int((report.action == action).sum())))
    if (report.duplicate_of >= 0).any():
        found.append(("the same as others", int((report.duplicate_of >= 0).sum())))
    kept = report.action == "keep"
    found.append(("kept as they are", int((kept & ~flagged).sum())))
    if (kept & flagged).any():
        found.append(("flagged, and kept", int((kept & flagged).sum())))
    return found


def _reason(report: Results, position: int) -> str:
    return str(report.reason[position]) if len(report.reason) else ""


def _dropped(report: Results) -> list[tuple[str, str, int]]:
    """(kind, why, how many), the most frequent first."""
    positions = np.flatnonzero(report.action == "drop").tolist()
    found = Counter((str(report.kind[position]), _reason(report, position)) for position in positions)
    return [(kind, words.REASONS.get(reason, reason), count) for (kind, reason), count in found.most_common(20)]


def _duplicates(report: Results) -> list[tuple[str, int, str]]:
    """(classes, images, first positions) of each group of the same images, the largest first."""
    groups: dict[int, list[int]] = {}
    for position in np.flatnonzero(report.duplicate_of >= 0).tolist():
        groups.setdefault(int(report.duplicate_of[position]), []).append(position)
    largest = sorted(groups.values(), key=lambda group: -len(group))[:DUPLICATES]
    found = []
    for group in largest:
        classes = [words.class_name(report, label) for label in np.unique(report.original_label[group]).tolist()]
        found.append((words.listed(classes), len(group), words.listed([str(position) for position in group])))
    return found


def _votes(report: Results) -> list[tuple[int, int, int]]:
    """(networks that call the sample ours, unflagged samples, flagged samples)."""
    if not report.votes.size:
        return []
    ours, most = report.votes.sum(1), report.votes.shape[1]
    counts = [np.bincount(ours[mask], minlength=most + 1).tolist() for mask in (~report.flagged, report.flagged)]
    return list(zip(range(most + 1), *counts, strict=True))


def _findings(report: Results) -> list[dict[str, Any]]:
    """Per class, or group of classes, where its images change."""
    found = []
    for footprint in report.pictures.footprints if report.pictures is not None else ():
        members = np.isin(report.original_label, footprint.classes) & (report.action == "restore")
        after = Counter(report.label[members].tolist())
        found.append(
            {
                "classes": words.listed([words.class_name(report, label) for label in footprint.classes]),
                "several": len(footprint.classes) > 1,
                "place": words.place(footprint.change).words,
                "picture": images.heat(footprint),
                "peak": float(footprint.change.max()),
                "footprint": footprint,
                "kind": words.kind(footprint),
                "after": [(words.class_name(report, label), count) for label, count in after.most_common(8)],
            }
        )
    main = words.main_footprint(report)
    found.sort(key=lambda finding: finding["footprint"] is not main)
    return found


def _gallery(report: Results, max_bytes: int) -> dict[str, Any]:
    pictures = report.pictures
    if pictures is None:
        return {"pictures": None, "gain": 0, "working": ""}
    restored = report.action[pictures.index] == "restore"
    gain = images.amplification(pictures, restored)
    found = [
        {
            "image": image,
            "kind": str(report.kind[image.position]),
            "action": str(report.action[image.position]),
            "reason": words.REASONS.get(_reason(report, image.position), ""),
            "score": float(report.score[image.position]),
            "quality": float(report.quality[image.position]),
            "before": int(report.original_label[image.position]),
            "after": int(report.label[image.position]),
            "votes": report.votes[image.position] if report.votes.size else None,
        }
        for image in images.shown(pictures, restored, gain, max_bytes)
    ]
    height, width = pictures.before.shape[1:3]
    return {"pictures": found, "gain": gain, "working": f"{height} × {width}"}
