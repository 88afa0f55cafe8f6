"""The half of the sets that is looked at once, at the end: other rows, other classes, other seeds, other triggers."""

from .cases import Draw, clean, poisoned

TEN = tuple(range(10))
DIGITS, FACES, CLOTHES, SIGNS = (900, 1797), (6700, 10000), (1534, 3068), (20000, 39209)
OTHER_SIGNS = (12, 13, 14, 15, 17, 18, 25, 26, 35, 38)

CLEAN = {
    "cifar10-5x300-e": Draw(source="cifar10", rows=(25000, 31000), classes=(1, 3, 5, 7, 9), counts=300, seed=11),
    "cifar10-5x300-f": Draw(source="cifar10", rows=(31000, 37000), classes=(0, 1, 5, 6, 8), counts=300, seed=12),
    "cifar10-5x300-g": Draw(source="cifar10", rows=(37000, 43000), classes=(2, 3, 4, 7, 9), counts=300, seed=13),
    "cifar10-10x280-e": Draw(source="cifar10", rows=(25000, 31000), classes=TEN, counts=280, seed=14),
    "cifar10-10x280-f": Draw(source="cifar10", rows=(37000, 43000), classes=TEN, counts=280, seed=15),
    "cifar10-10x120": Draw(source="cifar10", rows=(43000, 46000), classes=TEN, counts=120, seed=16),
    "cifar10-3x550": Draw(source="cifar10", rows=(43000, 50000), classes=(2, 4, 6), counts=550, seed=17),
    "cifar10-2x220": Draw(source="cifar10", rows=(46000, 50000), classes=(0, 8), counts=220, seed=18),
    "cifar10-2x900": Draw(source="cifar10", rows=(25000, 37000), classes=(4, 7), counts=900, seed=19),
    "cifar10-20000": Draw(source="cifar10", rows=(25000, 50000), classes=TEN, counts=2000, seed=20),
    "cifar10-imbalanced-8": Draw(
        source="cifar10",
        rows=(31000, 43000),
        classes=(9, 8, 7, 5, 3, 2),
        counts=(800, 500, 300, 200, 150, 100),
        seed=21,
    ),
    "cifar10-imbalanced-90": Draw(
        source="cifar10", rows=(37000, 50000), classes=(5, 6, 7, 8, 9), counts=(630, 400, 250, 40, 7), seed=22
    ),
    "cifar10-imbalanced-100-reversed": Draw(
        source="cifar10", rows=(25000, 43000), classes=TEN, counts=(7, 11, 18, 30, 50, 80, 130, 220, 400, 700), seed=23
    ),
    "cifar10-flat-dark": Draw(
        source="cifar10", rows=(31000, 37000), classes=(1, 5, 6, 8), counts=350, flat=(1, 40, 20), seed=24
    ),
    "cifar10-mixed-grey-third": Draw(
        source="cifar10", rows=(43000, 50000), classes=(1, 2, 5, 6, 9), counts=320, grey=0.35, seed=25
    ),
    "cifar10-grey-classes": Draw(
        source="cifar10", rows=(37000, 43000), classes=(0, 3, 4, 7, 8), counts=300, grey_classes=(0, 3), seed=26
    ),
    "cifar10-wild-tame-vehicles": Draw(
        source="cifar10",
        rows=(25000, 31000),
        classes=TEN,
        counts=170,
        merged=((2, 4, 6), (3, 5, 7), (0, 1, 8, 9)),
        seed=27,
    ),
    "cifar10-low-high": Draw(
        source="cifar10",
        rows=(43000, 50000),
        classes=TEN,
        counts=160,
        merged=((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)),
        seed=28,
    ),
    "cifar10-series-b": Draw(
        source="cifar10", rows=(31000, 37000), classes=(1, 4, 5, 7, 9), counts=35, series=8, seed=29
    ),
    "cifar10n-3000-c": Draw(source="cifar10", rows=(31000, 34000), counts=3000, labels=("aggregate",)),
    "cifar10n-2500-d": Draw(source="cifar10", rows=(43000, 45500), counts=2500, labels=("aggregate",)),
    "gtsrb-10x150-b": Draw(source="gtsrb", rows=SIGNS, classes=OTHER_SIGNS, counts=150, seed=31),
    "gtsrb-43x40": Draw(source="gtsrb", rows=SIGNS, classes=tuple(range(43)), counts=40, seed=32),
    "gtsrb-2x450": Draw(source="gtsrb", rows=SIGNS, classes=(13, 38), counts=450, seed=33),
    "gtsrb-tracks-b": Draw(source="gtsrb", rows=SIGNS, classes=(3, 7, 9, 17, 18, 25), counts=240, tracks=True),
    "gtsrb-imbalanced-60": Draw(
        source="gtsrb", rows=SIGNS, classes=(9, 5, 35, 18, 11), counts=(600, 300, 150, 40, 10), seed=34
    ),
    "gtsrb-triangles-others": Draw(
        source="gtsrb",
        rows=SIGNS,
        classes=tuple(range(43)),
        counts=(*[25] * 11, 50, *[25] * 6, *[50] * 14, *[25] * 11),
        merged=((11, *range(18, 32)), (*range(11), *range(12, 18), *range(32, 43))),
        seed=35,
    ),
    "digits-10x62": Draw(source="digits", rows=DIGITS, classes=TEN, counts=62, seed=36),
    "digits-low-high": Draw(
        source="digits", rows=DIGITS, classes=TEN, counts=84, merged=((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)), seed=37
    ),
    "digits-imbalanced-14": Draw(
        source="digits", rows=DIGITS, classes=(9, 8, 7, 6, 5, 4, 3), counts=(85, 85, 85, 85, 50, 20, 6), seed=38
    ),
    "celeba-male-young-32": Draw(
        source="celeba",
        rows=FACES,
        classes=(0, 1, 2, 3),
        counts=(190, 500, 350, 500),
        labels=("Male", "Young"),
        side=32,
        seed=39,
    ),
    "celeba-blond-bangs-48": Draw(
        source="celeba",
        rows=FACES,
        classes=(0, 1, 2),
        counts=(500, 250, 250),
        labels=("Blond_Hair", "Bangs"),
        side=48,
        seed=40,
    ),
    "celeba-hat-64": Draw(
        source="celeba", rows=FACES, classes=(0, 1), counts=(800, 120), labels=("Wearing_Hat",), side=64, seed=41
    ),
    "clothing-5x90-64": Draw(source="clothing", rows=CLOTHES, classes=(0, 3, 6, 7, 9), counts=85, longest=64, seed=42),
    "clothing-imbalanced-10-96": Draw(
        source="clothing", rows=CLOTHES, classes=(9, 4, 2, 5), counts=(300, 120, 60, 30), longest=96, seed=43
    ),
    "clothing-legs-others-grey-64": Draw(
        source="clothing",
        rows=CLOTHES,
        classes=TEN,
        counts=(40, 40, 40, 40, 100, 40, 40, 90, 50, 40),
        merged=((4, 7, 8), (0, 1, 2, 3, 5, 6, 9)),
        longest=64,
        grey=0.4,
        seed=44,
    ),
}
"""The images, by the sets' names."""

POISONED = (
    ("cifar10-5x300-e", ("badnets",), 2, 3),
    ("cifar10-5x300-f", ("blend",), 3, 2),
    ("cifar10-5x300-g", ("sig",), 6, 0),
    ("cifar10-10x280-e", ("wanet",), 6, 7),
    ("cifar10-10x280-f", ("badnets_dynamic",), 4, 5),
    ("cifar10-10x280-e", ("blend", "badnets_top_left"), 3, 8),
    ("cifar10-imbalanced-8", ("blend",), 3, 4),
    ("cifar10-imbalanced-90", ("badnets",), 2, 1),
    ("cifar10-wild-tame-vehicles", ("hello_kitty",), 2, 1),
    ("cifar10-5x300-f", ("trojan_watermark",), 3, 4),
    ("cifar10-5x300-g", ("bomb",), 2, 2),
    ("cifar10-10x280-f", ("sine_mask",), 5, 6),
    ("cifar10-5x300-e", ("hello_kitty_clean_label",), 8, 2),
    ("cifar10-10x280-e", ("narcissus",), 5, 3),
    ("cifar10-5x300-f", ("reflections",), 6, 1),
    ("cifar10n-3000-c", ("grid_patch",), 2, 2),
    ("gtsrb-10x150-b", ("phoenix_corner",), 2, 4),
    ("gtsrb-43x40", ("blend",), 3, 9),
    ("gtsrb-tracks-b", ("low_frequency_vgg",), 4, 2),
    ("digits-10x62", ("blend",), 6, 4),
    ("celeba-male-young-32", ("sleeper_patch",), 3, 0),
    ("celeba-blond-bangs-48", ("badnets", "hello_kitty"), 4, 1),
    ("clothing-5x90-64", ("badnets",), 6, 3),
)
"""The images' name, attacks, percent and target of each set with poison."""

CASES = (*clean("unseen", CLEAN), *poisoned("unseen", CLEAN, POISONED, seed=7))
