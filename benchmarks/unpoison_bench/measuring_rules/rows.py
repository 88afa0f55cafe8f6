"""What is measured of every number of `unpoison.rules`, or why nothing is."""

from typing import Any, Literal, NamedTuple

from unpoison import rules


class Row(NamedTuple):
    """A number, or one of several of the same name, and the statistic that it is compared with."""

    number: str
    group: str
    """What measures it."""
    poison: Literal["above", "below"]
    """Of the number, where the statistic of poison is to lie; that of clean data on the other side."""
    unit: str
    part: str = ""
    """Which of several."""
    sides: tuple[str, str] = ("clean", "poison")
    """What lies on both sides."""
    lacks: str = ""
    """What of it is not measured, and why."""

    @property
    def name(self) -> str:
        """As observations have it."""
        return f"{self.number}, {self.part}" if self.part else self.number

    @property
    def value(self) -> float:
        value: Any = rules.numbers()[self.number]
        return float(value[self.part] if isinstance(value, dict) else value)

    def wrong(self, side: str, value: float) -> bool:
        """Whether an observation lies on the side of the number that is the other one's."""
        if self.poison == "above":
            return (value >= self.value) == (side == "clean")
        return (value <= self.value) == (side == "clean")


_FOUND = "of clean data only where the fit goes through, inside `{}`"
_PART = ("other parts of classes", "poison or wrong labels")
_EFFECT = ("classes that the trigger is not of", "its class")

ROWS = (
    # Detection.
    Row("CLUSTER_EVIDENCE", "networks", "above", "standard deviations x 0..1", sides=_PART),
    Row("CONTRADICTION_EVIDENCE", "networks", "above", "standard deviations x 0..1", sides=_PART),
    Row("LEAST_CLUSTER_SHARE", "networks", "above", "share of a class", sides=_PART, lacks="clean: any share may be"),
    Row("LEAST_CLUSTER", "networks", "above", "images", sides=_PART, lacks="clean: any number may be"),
    Row("LARGEST_MINORITY", "networks", "below", "share of a class", sides=_PART, lacks="clean: any share may be"),
    Row("LEAST_CONTRADICTED", "networks", "above", "share of a group", sides=_PART),
    Row("SEAM_SEPARATION", "seams", "above", "standard deviations", sides=("clean classes", "joined images")),
    # Verification by our own backdoor.
    Row("RESISTING_EVIDENCE", "bab", "above", "standard deviations", sides=("clean classes", "classes with poison")),
    Row("RESISTING_MORE", "bab", "above", "x the upper quartile", sides=("clean classes", "classes with poison")),
    Row(
        "LEAST_SUCCESS", "bab", "above", "share of images", sides=("failed trainings", "the best model of each set"),
        lacks="no training fails on purpose",
    ),
    # Explanation.
    Row("DETECTOR_SAY", "triggers", "above", "log-odds", sides=("images without the trigger", "images with it")),
    Row(
        "SHARED_BY_SUSPECTS", "triggers", "above", "share of suspects", sides=("parts of clean classes", "poison"),
        lacks=_FOUND.format("fit_trigger"),
    ),
    Row(
        "USUAL_ELSEWHERE", "triggers", "below", "share of images", sides=("parts of clean classes", "poison"),
        lacks=_FOUND.format("fit_trigger"),
    ),
    Row("OPAQUE", "triggers", "below", "opacity, 0..1", sides=("near-duplicates", "patterns")),
    Row("CAUSAL_RATE", "networks", "above", "share of stamped images", sides=_EFFECT),
    Row("PATCH_EFFECT", "networks", "above", "share of stamped images", sides=_EFFECT),
    Row(
        "NATURAL_EFFECT", "networks", "below", "x the effect on M", sides=("what belongs to a class", "poison"),
        lacks="clean: no triggers are fitted to them here",
    ),
    Row("LEARNED_EFFECT", "networks", "above", "share of stamped images", sides=_EFFECT),
    Row("FURTHER_FOREIGN", "networks", "above", "0..1", sides=("minorities of clean classes", "poison")),
    Row("SURELY_FOREIGN", "networks", "above", "0..1", sides=("the rest of clean classes", "poison")),
    Row(
        "FEW_LEARNED", "networks", "below", "share of the poison",
        sides=("learned by verifiers that obey", "by others"),
    ),
    # Trigger inversion.
    Row(
        "HELD_OUT_SEPARATION", "triggers", "above", "standard deviations", sides=("parts of clean classes", "patterns"),
        lacks=_FOUND.format("fit_pattern"),
    ),
    Row(
        "LARGEST_VARIATION", "triggers", "below", "share of the mean", sides=("parts of clean classes", "patterns"),
        lacks=_FOUND.format("fit_pattern"),
    ),
    Row(
        "GAP", "triggers", "above", "x the reach of clean images", part="pattern",
        sides=("parts of clean classes", "patterns"), lacks=_FOUND.format("fit_pattern"),
    ),
    Row(
        "GAP", "triggers", "above", "x the reach of clean images", part="patch",
        sides=("parts of clean classes", "patches"), lacks=_FOUND.format("find_patch"),
    ),
    Row(
        "LEAST_SCALE", "triggers", "above", "share of the original", sides=("stronger blends", "patterns"),
        lacks="no set has stronger ones",
    ),
    Row(
        "BLEND_GAIN", "triggers", "above", "log-likelihood per image and pixel",
        sides=("parts of clean classes", "patterns"), lacks="only where it is reached, inside `find_scale`",
    ),
    Row("MOST_EXCESS", "triggers", "below", "grey levels", sides=("parts of clean classes", "patterns")),
    Row("PATCH_SHOWN", "triggers", "above", "share of suspects", sides=("parts of clean classes", "patches")),
    Row("PATCH_EXCESS", "triggers", "above", "share of images", sides=("parts of clean classes", "patches")),
    Row(
        "PATCH_GAIN", "triggers", "above", "share of images", sides=("patterns on even ground", "patches"),
        lacks="`find_patch` sees no patch in the patterns of these sets",
    ),
    Row(
        "PATCH_AREA", "triggers", "below", "share of the image", sides=("near-duplicates", "patches"),
        lacks="larger ones end inside `find_patch`",
    ),
    Row("PATCH_MATCHED", "triggers", "above", "share of a patch", sides=("clean images", "stamped images")),
    Row(
        "PATCH_CONTRAST", "triggers", "above", "0..1", part="patch",
        sides=("clean images that match", "stamped images"),
    ),
    Row(
        "PATCH_CONTRAST", "triggers", "above", "0..1", part="moving patch",
        sides=("clean images that match", "stamped images"),
    ),
    Row(
        "WARP_SHOWN", "triggers", "above", "share of suspects", sides=("parts of clean classes", "warps"),
        lacks=_FOUND.format("find_warp"),
    ),
    Row(
        "WARP_SEPARATION", "triggers", "above", "standard deviations", sides=("parts of clean classes", "warps"),
        lacks=_FOUND.format("find_warp"),
    ),
    # Restoration.
    Row("CLEAN_LABEL_SHARE", "networks", "above", "share of restored images", sides=("wrong labels", "right labels")),
    Row("PATTERN_KNOWN", "triggers", "above", "share of images", sides=("clean images", "poison")),
    Row("LEAST_CONFIDENCE", "networks", "above", "probability", sides=("wrongly named", "rightly named originals")),
    Row(
        "MOST_PULL", "networks", "below", "standard deviations", sides=("images as they came", "their originals"),
    ),
    # Copies.
    Row("COPY_DETAIL", "copies", "below", "x the detail", sides=("different images", "JPEG copies")),
    Row("COPY_DISTANCE", "copies", "below", "x the distance in a class", sides=("different images", "JPEG copies")),
    Row("COPY_BLOCK", "copies", "above", "x the limit", sides=("JPEG copies", "stamped copies")),
    Row("FLAT", "copies", "below", "grey levels", sides=("images", "even images as JPEG")),
    Row(
        "COPY_CANDIDATES", "copies", "below", "grey levels", sides=("different images", "JPEG copies"),
        lacks="what is compared in vain costs time, no more",
    ),
)  # fmt: skip
"""In the order of `rules`; parts of a number follow each other."""

UNMEASURED = {
    "FALSE_ALARMS": "the user's: how many false alarms are put up with",
    "CLEAR_MINORITY": "no set has a class that is half poison, where it decides which half is suspected",
    "LIKELIER": "the level of a test; what it is compared with is a p-value",
    "SEAM_NOISE": "softens the statistic that `SEAM_SEPARATION` is compared with, and decides nothing alone",
    "LEAST_PATTERNED": "a count: smaller parts are never looked at",
    "USEFUL_SUCCESS": "an aim of training: models beyond it are replaced, none is called anything for it",
    "FURTHER_CARRIERS": "a count: fewer are never asked about",
    "LEAST_FLAGGED": "a count: fewer are never explained",
    "SIGNIFICANT": "worked out: taking off what is smaller than its error by this adds more error than it removes",
    "REPLACED": "by construction 0 under a patch, and at least `LEAST_SCALE` elsewhere",
    "MOST_OF_PATTERN": "the share by which the statistic of `MOST_EXCESS` is taken",
    "WAVES_EXPLAIN": "inside `find_waves`, which returns frequencies without what they explain",
    "PATCH_WINDOW": "a tolerance, within the statistics of the other numbers of patches",
    "CHANGED_DEVIATION": "within the statistic of `CHANGED_SHARE`",
    "CHANGED_SHARE": "inside `_changes_elsewhere`, which returns its decision alone",
    "MOVING_LEVEL": "a tolerance, within the statistics of the other numbers of patches",
    "LEAST_REFERENCE": "a count: fewer are no measure for others",
    "WARM_START_GAIN": "of restorers from elsewhere: `benchmarks/warm_start.py` measures what comes of it",
    "MAX_ALTERED": "the user's: how much of a class may be altered",
    "DISTINCT_CARRIERS": "needs flagged heaps of copies that are not blank, which no set here is made of",
    "WHOLE_GROUP": "needs flagged heaps of copies that are not blank, which no set here is made of",
    "VISIBLE": "defines what is seen",
}
"""Numbers with nothing to measure, and why."""
