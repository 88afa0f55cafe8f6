"""The comparisons by name: every table and figure of both papers that can be measured, and our own."""

from ..comparison import Comparison
from . import bab, ours, pdautor, pdautor_detector

COMPARISONS: dict[str, Comparison] = {
    comparison.name: comparison
    for comparison in (
        *pdautor_detector.COMPARISONS,
        *pdautor.COMPARISONS,
        *bab.COMPARISONS,
        *ours.COMPARISONS,
    )
}
