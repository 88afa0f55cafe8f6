"""Every number that decides by itself what counts: as poison, as a trigger, as a copy, as good enough.

Whatever can be compared with the same dataset is: other classes, random halves, images of other classes, by
`FALSE_ALARMS`. What follows is left, and was chosen between what clean data and poison reached on the sets named, so it
is a debt: "clean" and "poison" say what was measured. `benchmarks/measure_rules.py` measures it again, on the sets of
`unpoison bench false-alarms` that methods are developed on, or says why there is nothing to measure; figures of "parts"
are from there, of what the pixels set apart in the classes of 27 clean sets. Shares are of 0..1, grey levels of 0..255;
figures are of CIFAR-10 and GTSRB at 32 pixels unless said.
"""

from typing import Any

FALSE_ALARMS = 0.01
"""How often, at most, a dataset without poison is to have a class, or a group that shares a pattern, that sticks out of
the rest of it; and how often one that mirroring does not harm is trained without."""

# Detection: which part of a class is suspicious.
CLUSTER_EVIDENCE = 3.2
"""Separation in standard deviations times foreign content (0..1) of a learned cluster; beside what the other classes
lead to expect. Clean: 2.5 at 10,000 images, 3.4 in a set with rare classes; poison: 3.7 and more."""
CONTRADICTION_EVIDENCE = 6.5
"""The same of a part of a class that everything contradicts. Clean: 5.2 in sets of 1,500, once 7.6."""
LEAST_CLUSTER_SHARE, LEAST_CLUSTER = 0.02, 20
"""Share of a class, and images: fewer are outliers, not a cluster."""
LARGEST_MINORITY = 0.5
"""Share of a class: what is more than this is what the class looks like, whatever a verifier says."""
CLEAR_MINORITY = 0.3
"""Share of a class: a smaller side is the suspicious one, above it either may be."""
LEAST_CONTRADICTED = 0.5
"""Share of a group: a classifier that has seen what a class looks like contradicts less of it than this."""
LIKELIER = 0.05
"""Level of the test by which samples are likelier than others to belong to a class."""
SEAM_NOISE = 10.0
"""Grey levels: smaller steps along a seam are noise."""
SEAM_SEPARATION = 6.0
"""Standard deviations between joined images and others. Clean: 4.7, one class of signs that are a bar 6.6; poison: 9 to
12."""
LEAST_PATTERNED = 8
"""Images: fewer that their pixels set apart explain no trigger."""

# Verification by our own backdoor (BaB).
RESISTING_EVIDENCE = 4.0
"""Standard deviations by which the samples of a class that resist our trigger stand out."""
RESISTING_MORE = 1.5
"""Times the separation of three quarters of the classes."""
USEFUL_SUCCESS = (0.8, 0.98)
"""Success rates of our backdoor between which a model tells clean from poisoned samples."""
LEAST_SUCCESS = 0.6
"""Success rate below which models have not learned our backdoor, and say nothing."""

# Explanation: what counts as a trigger.
DETECTOR_SAY = 3.0
"""Log-odds: where pixels say less than this, the detector and the content are asked, and count up to this much."""
SHARED_BY_SUSPECTS = 0.7
"""Share of the suspects that must show a trigger: strokes of digits come and go. Poison, 21 sets: .97 and more."""
USUAL_ELSEWHERE = 0.5
"""Share of the images of other classes that show it: more, and it is no trigger. Poison, 21 sets: .09 at most."""
OPAQUE = 0.5
"""Opacity of a pattern: images that share more are copies of each other. Poison: blends .2; near-duplicates: .64."""
CAUSAL_RATE = 0.1
"""Share of other images that a working trigger turns into its class."""
PATCH_EFFECT = 0.5
"""The same of a patch: objects and strokes are local, too, and pull an image towards their class."""
NATURAL_EFFECT = 0.3
"""Times the effect on the suspicious model: a pattern that moves a verifier by more belongs to the class."""
LEARNED_EFFECT = 0.1
"""Share of stamped images that a trigger turns: a model in which it turns fewer knows its images by heart only, and
what it says about them tells nothing about what is left of the trigger. Attack success rates: SIG .26, WaNet .04."""
FURTHER_CARRIERS, FURTHER_FOREIGN = 8, 0.5
"""Images that nobody chose for what the verifier says and that clearly show a trigger, and their foreign content, 0..1.
Poison: .59 and more."""
SURELY_FOREIGN = 0.7
"""Foreign content (0..1) of what is left of a class, from which it is the poison, and the suspects are the class;
beside what the other classes lead to expect. Clean: aeroplanes beside poisoned ones .60; poison: warped signs .82."""
FEW_LEARNED = 0.1
"""Share of the flagged samples: a verifier that has learned more of them may obey their trigger."""

# Trigger inversion.
LEAST_FLAGGED = 8
"""Images: fewer explain nothing."""
HELD_OUT_SEPARATION = 4.0
"""Standard deviations of clean scores between them and those of flagged images that the fit has not seen. Clean: 23
of 163 parts reach it, of photographs at 4.0 to 6.2, of signs and near-duplicates at up to 31, of digits once at 2,600;
poison: low frequencies 6.8, waves 9.5, blends 33 and more."""
LARGEST_VARIATION = 0.25
"""Of `Pattern.variation`, a share of the mean: what varies less was stamped. Sets of 1,500 images; clean: red cars .37
to .53, signs at dusk .98; poison: waves 0 to .19, blends .01, a watermark that lets more of dark images show .45, which
must leave a gap. Of the 23 parts with a pattern 11 vary less; whether a network obeys it has to tell."""
GAP = 2.0
"""Times as far as clean images reach must the weakest tenth of what varies more lie, and of those that show a patch.
Share of a patch's values, clean: .26 to .34 (most 1 %), where digits share strokes .72; poison: .85 to 1. In times:
106 of 114 parts that share pixels less than 2, the others up to 3.0; poison: 3.4 and more."""
SIGNIFICANT = 2**0.5
"""Standard errors of an added value, or of a whole pattern, from which taking it off is expected to leave a smaller
error than leaving it."""
REPLACED = 0.05
"""Share of the original that is left in a pixel: less, and there is nothing to invert."""
LEAST_SCALE = 0.4
"""Share of the original: stronger blends would leave too little of the image to restore."""
BLEND_GAIN = 0.004
"""Log-likelihood per image and pixel that an opacity must gain over none: less is a difference in content."""
MOST_EXCESS, MOST_OF_PATTERN = 48.0, 0.9
"""Grey levels by which such a share of a pattern may leave the range that its opacity allows. Clean: signs against the
light, all black, 56; 16 of 163 parts; poison: a wave of amplitude 20 has 20, low frequencies 38."""
WAVES_EXPLAIN = 0.7
"""Share of a pattern's energy, without its expected noise, that few waves must explain."""
PATCH_WINDOW = 4
"""Grey levels around the commonest value that count as the same: lossy compression moves it."""
PATCH_SHOWN = 0.5
"""Share of the flagged images that must show the value; the rest may be false flags. Clean: 152 of 163 parts, which are
small, have such a pixel; poison, nine sets: 1."""
PATCH_EXCESS = 0.35
"""How much commoner, as a share of the images, the value is than in clean images of the same content. Clean:
158 of 163 parts have such a pixel, and `GAP` is what stops them; poison: .93 and more."""
PATCH_GAIN = 0.2
"""The same beside the commonest value of clean images, for grounds that are even. Poison: .76 and more, of digits
.43."""
PATCH_AREA = 0.25
"""Share of the image: what is larger is no patch; the images are near-duplicates. Poison: .14 at most."""
CHANGED_DEVIATION = 6.0
"""Standard errors by which the mean of a pixel moves that counts as changed."""
CHANGED_SHARE = 0.15
"""Share of the pixels outside of a patch: where more have changed, a pattern lies under it."""
PATCH_MATCHED = 0.8
"""Share of a patch's values that an image must show to show the patch. Clean, where it would stand out: 3 of 15,007
images, .82 at most; poison: 1."""
PATCH_CONTRAST = {"patch": 0.12, "moving patch": 0.2}
"""Contrast, 0..1, below which a patch hardly shows. Clean: 1 % of the images of CIFAR-10 have 3x3 white pixels
somewhere that stand out by .12, and .1 % by .2. Where clean images of poisoned sets match by chance, the patch stands
out by .18 at most, and one that moves by .23."""
MOVING_LEVEL = 16
"""Grey levels by which pixels of a patch that moves may differ from image to image."""
WARP_SHOWN, WARP_SEPARATION = 0.5, 2.0
"""Share of the suspects that must show a warp, and standard deviations between their median and that of clean images.
Clean: what fits 16 or 200 images of a class best has 1.7 at most; poison: 2.2 and more on GTSRB, 3.8 on CIFAR-10."""

# Restoration: what is good enough.
LEAST_REFERENCE = 20
"""Clean images of a class: where there are fewer, restored ones are judged by those of all classes."""
CLEAN_LABEL_SHARE = 0.5
"""Share of restored images whose content agrees with the label they came with: more, and the label was right all along.
Poison from other classes agrees by chance; false flags are fewer than this."""
PATTERN_KNOWN = 0.7
"""Share of the flagged images in which a given restorer must see its pattern. Clean images: .09; poison: .97 to 1."""
WARM_START_GAIN = 0.25
"""Share by which a given network errs less than filling from around the patch, to be taken as it is."""
MAX_ALTERED = 0.5
"""Share of a class that may be altered unless the user says otherwise: a detector that is right leaves a class its
majority."""

LEAST_CONFIDENCE = 0.35
"""Probability with which the clean classifier must name the class of a restored image: less, and it is dropped."""
MOST_PULL = 3.5
"""Robust standard deviations by which the suspicious model may lean to the flagged label on a restored image, above
clean images of the same class: more, and it is dropped."""

# Copies.
DISTINCT_CARRIERS = 10
"""Images: so many different ones that share a trigger are no copies, however often each of them is there."""
WHOLE_GROUP = 0.9
"""Share of a group of copies that is flagged where the group is flagged as a whole."""
COPY_DETAIL = 0.25
"""Times the mean step between neighbouring pixels by which copies may differ. Clean: images of a sign that a car
approaches differ by more, but for 7 pairs of 2,436, the nearest by .11; JPEG copies of qualities above 75 mostly by
less: 88 % of those that differ visibly, of 35 sets."""
COPY_DISTANCE = 0.1
"""Times the distance between images of a class. JPEG copies: 99 % differ by less; the nearest frames of a sign, which
`COPY_DETAIL` lets pass, by .02."""
VISIBLE = 1.0
"""Grey levels: where an image has no detail, less is not seen."""
COPY_BLOCK = 2.0
"""Times the limit by which a block of 4x4 pixels may differ: compression spreads its errors, a stamp does not. JPEG
copies: 2 % by more, 3.7 at most; with a white patch: 77 %."""
FLAT = 2
"""Grey levels between the pixels of a blank image and their mean. JPEG copies of blank ones: 0; signs at night: 9."""
COPY_CANDIDATES = 4.0
"""Grey levels between the thumbnails of candidates. JPEG copies of digits, 8 pixels wide: up to 5; all others: up
to 3.9."""


def numbers() -> dict[str, Any]:
    """All of them by name: what was worked out with others is not reused."""
    return {name: value for name, value in globals().items() if name.isupper()}
