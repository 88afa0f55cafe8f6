"""What the benchmark asks for, and whether measured sets meet it."""

from collections.abc import Callable, Sequence

from ..bar import Bar
from ..results import Measures
from ..table import percent

FLAGGED, FEW_FLAGGED, FEW_OF = 0.005, 0.001, 30
CLASS_ALTERED = 0.02
WRONG_OF_FLAGGED = 0.7
OBEYED, TPR, FPR, ASR_LEFT = 0.5, 0.95, 0.002, 0.1


def bars(sets: Sequence[Measures]) -> list[Bar]:
    """All demands, of the sets' measures."""
    clean = [one for one in sets if not one["attacks"] and not one["noisy"]]
    noisy = [one for one in sets if one["noisy"] and not one["attacks"]]
    obeyed = [one for one in sets if (one.get("asr_input") or 0) >= OBEYED]
    return [
        _most("clean sets: at most 0.5 % flagged in each", clean, "clean_flagged_share", FLAGGED),
        _few(clean),
        _most("clean sets: at most 2 % of a class altered", clean, "worst_class_altered_share", CLASS_ALTERED),
        _wrong(noisy),
        _backdoors(noisy),
        _mean_tpr(obeyed),
        _most("obeyed triggers: FPR at most 0.2 % in each", obeyed, "fpr", FPR),
        _most("obeyed triggers: ASR at most 10 % after training on the output", obeyed, "asr_output", ASR_LEFT),
        _restored(sets),
    ]


def harmed(sets: Sequence[Measures]) -> str:
    """The share of all sets in which any clean sample was flagged, as a line of Markdown."""
    count = sum(one["clean_flagged"] > 0 for one in sets)
    return f"- sets with any harm: {count} of {len(sets)}, {percent(1)(count / len(sets))}"


def _most(demand: str, sets: Sequence[Measures], key: str, limit: float) -> Bar:
    """No set has more of something than the limit."""
    return _worst(demand, [(one[key], one["set"]) for one in sets if one.get(key) is not None], limit, max)


def _worst(
    demand: str,
    values: list[tuple[float, str]],
    limit: float,
    worst: Callable[[list[tuple[float, str]]], tuple[float, str]],
) -> Bar:
    """No value lies beyond the limit."""
    if not values:
        return Bar(demand, "", None)
    value, name = worst(values)
    over = value - limit if worst is max else limit - value
    beyond = sum((one - limit if worst is max else limit - one) > 0 for one, _ in values)
    measured = f"{percent(2)(value)} in {name}, the worst of {len(values)}"
    return Bar(demand, measured, over <= 0, f"{100 * over:.2f} points there, in {beyond} of {len(values)} sets")


def _few(sets: Sequence[Measures]) -> Bar:
    demand = "clean sets: more than 0.1 % flagged in at most 1 of 30"
    if not sets:
        return Bar(demand, "", None)
    count = sum(one["clean_flagged_share"] > FEW_FLAGGED for one in sets)
    # Of fewer than 30 sets one may, too.
    allowed = max(1, len(sets) // FEW_OF)
    return Bar(demand, f"{count} of {len(sets)}", count <= allowed, f"{count - allowed} sets")


def _wrong(sets: Sequence[Measures]) -> Bar:
    demand = "labels that people gave: at least 70 % of what is flagged is wrong"
    flagged = [(one["flagged_wrong_share"], one["set"]) for one in sets if one["flagged_wrong_share"] is not None]
    if sets and not flagged:
        return Bar(demand, f"nothing is flagged in {len(sets)} sets", True)
    return _worst(demand, flagged, WRONG_OF_FLAGGED, min)


def _backdoors(sets: Sequence[Measures]) -> Bar:
    demand = "labels that people gave: nothing is called a backdoor"
    count = sum(one["called_backdoor"] for one in sets)
    return Bar(demand, f"{count} samples in {len(sets)} sets", count == 0 if sets else None, f"{count} samples")


def _mean_tpr(sets: Sequence[Measures]) -> Bar:
    demand = "obeyed triggers: TPR at least 95 % on average"
    if not sets:
        return Bar(demand, "", None)
    mean = sum(one["tpr"] for one in sets) / len(sets)
    return Bar(demand, f"{percent(2)(mean)} of {len(sets)} sets", mean >= TPR, f"{100 * (TPR - mean):.2f} points")


def _restored(sets: Sequence[Measures]) -> Bar:
    """No kind of restored images is farther from the originals than what was given."""
    demand = "restored images: no larger error than of doing nothing, in every set and kind"
    errors = [
        (group["error"] - group["error_nothing"], f"{one['set']} ({kind})")
        for one in sets
        for kind, group in one["restored"].items()
        if kind not in ("all", "clean") and group["count"]
    ]
    if not errors:
        return Bar(demand, "", None)
    over, name = max(errors)
    worse = sum(error > 0 for error, _ in errors)
    measured = f"{worse} of {len(errors)} are farther off, the worst by {over:+.5f} in {name}"
    return Bar(demand, measured, over <= 0, f"{over:.5f} there")
