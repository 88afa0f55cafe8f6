"""The numbers of a report that `clean` and `report` print as JSON."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..report import Report


def report_facts(report: "Report") -> dict[str, Any]:
    """Counts, poisoned classes and seconds."""
    return {
        "samples": len(report),
        "flagged": int(report.flagged.sum()),
        **{action: int((report.action == action).sum()) for action in ("keep", "restore", "drop")},
        "duplicates": int((report.duplicate_of >= 0).sum()),
        "unreadable": len(report.unreadable),
        "poisoned_classes": report.with_status("poisoned"),
        "classes_to_look_at": report.with_status("needs a look"),
        "classes_not_assessable": report.with_status("not assessable"),
        "seconds": round(sum(report.timings.values()), 1),
    }
