"""What a benchmark asks for, and whether it was met."""

from typing import NamedTuple


class Bar(NamedTuple):
    """One demand."""

    demand: str
    measured: str
    """What was measured instead, and where it was worst; "" where nothing was."""
    met: bool | None
    """None where there was nothing to measure."""
    missed_by: str = ""

    @property
    def line(self) -> str:
        """One line of Markdown."""
        if self.met is None:
            return f"- {self.demand}: **not measured**"
        return f"- {self.demand}: {self.measured}: **{'met' if self.met else f'missed by {self.missed_by}'}**"
