"""Precision-recall curves that are short enough for a JSON file."""

import numpy as np
import numpy.typing as npt

from unpoison import metrics

POINTS = 200


def curve(score: npt.NDArray[np.float32], poisoned: npt.NDArray[np.bool_]) -> dict[str, list[float]] | None:
    """Recall, ascending, and precision at up to `POINTS` thresholds of a score, float32 [N]; None without poison.

    Points lie evenly in recall; of those with the same recall, the most precise counts.
    """
    full = metrics.precision_recall_curve(score, poisoned)
    if full is None:
        return None
    # The library's recall descends.
    recall, first = np.unique(full.recall[::-1], return_index=True)
    precision = np.maximum.reduceat(full.precision[::-1], first)
    chosen = np.unique(np.linspace(0, len(recall) - 1, min(POINTS, len(recall))).round().astype(int))
    return {"recall": recall[chosen].round(5).tolist(), "precision": precision[chosen].round(5).tolist()}
