"""Whether measured rows are as asked for."""

from collections.abc import Sequence

from ..bar import Bar
from ..results import Measures
from .rows import Limit, get_row


def bars(measured: Sequence[Measures]) -> list[Bar]:
    """Each limit of each row."""
    return [_bar(one, limit) for one in measured for limit in get_row(one["name"]).limits]


def _bar(measures: Measures, limit: Limit) -> Bar:
    demand = f"{measures['name']}: {limit.title} {'at least' if limit.at_least else 'at most'} {limit.bound:g}"
    value = measures.get(limit.key)
    if value is None:
        return Bar(demand, "", None)
    over = limit.bound - value if limit.at_least else value - limit.bound
    return Bar(demand, f"{value:.4g}", over <= 0, f"{over:.4g}")
