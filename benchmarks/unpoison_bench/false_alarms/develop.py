"""The half of the sets that methods are developed on: the first half of each file's rows."""

from .cases import Draw, clean, poisoned

TEN = tuple(range(10))
DIGITS, FACES, CLOTHES, SIGNS = (0, 900), (0, 6700), (0, 1534), (0, 20000)

CLEAN = {
    "cifar10-5x300-a": Draw(source="cifar10", rows=(0, 6000), classes=(0, 1, 2, 3, 4), counts=300),
    "cifar10-5x300-b": Draw(source="cifar10", rows=(6000, 12000), classes=(5, 6, 7, 8, 9), counts=300),
    "cifar10-5x300-c": Draw(source="cifar10", rows=(12000, 18000), classes=(0, 2, 4, 6, 8), counts=300),
    "cifar10-10x300-a": Draw(source="cifar10", rows=(0, 6000), classes=TEN, counts=300),
    "cifar10-10x300-b": Draw(source="cifar10", rows=(6000, 12000), classes=TEN, counts=300),
    "cifar10-10x300-c": Draw(source="cifar10", rows=(12000, 18000), classes=TEN, counts=300),
    "cifar10-10x300-d": Draw(source="cifar10", rows=(18000, 24000), classes=TEN, counts=300),
    "cifar10-10x100": Draw(source="cifar10", rows=(0, 3000), classes=TEN, counts=100),
    "cifar10-3x500": Draw(source="cifar10", rows=(0, 8000), classes=(3, 5, 7), counts=500),
    "cifar10-2x200": Draw(source="cifar10", rows=(18000, 25000), classes=(3, 5), counts=200, seed=1),
    "cifar10-2x1000": Draw(source="cifar10", rows=(12000, 25000), classes=(1, 9), counts=1000, seed=1),
    "cifar10-10000": Draw(source="cifar10", rows=(0, 25000), classes=TEN, counts=1000, seed=1),
    "cifar10-imbalanced-7": Draw(
        source="cifar10", rows=(0, 12000), classes=(0, 1, 2, 3, 4, 5, 6), counts=(900, 450, 300, 225, 180, 150, 128)
    ),
    "cifar10-imbalanced-110": Draw(
        source="cifar10", rows=(0, 8000), classes=(0, 1, 2, 3, 4), counts=(550, 550, 300, 50, 5)
    ),
    "cifar10-imbalanced-100": Draw(
        source="cifar10", rows=(8000, 25000), classes=TEN, counts=(600, 360, 216, 129, 77, 46, 28, 17, 10, 6), seed=1
    ),
    "cifar10-flat-grey": Draw(source="cifar10", rows=(0, 6000), classes=(0, 1, 2, 3, 4), counts=300, flat=(2, 45, 128)),
    "cifar10-mixed-grey": Draw(
        source="cifar10", rows=(6000, 12000), classes=(0, 3, 4, 7, 8), counts=300, grey=0.5, seed=1
    ),
    "cifar10-grey-class": Draw(
        source="cifar10", rows=(12000, 18000), classes=(1, 2, 5, 6, 9), counts=300, grey_classes=(1,), seed=1
    ),
    "cifar10-animals-vehicles": Draw(
        source="cifar10", rows=(0, 6000), classes=TEN, counts=150, merged=((0, 1, 8, 9), (2, 3, 4, 5, 6, 7))
    ),
    "cifar10-odd-even": Draw(
        source="cifar10",
        rows=(18000, 25000),
        classes=TEN,
        counts=150,
        merged=((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)),
        seed=1,
    ),
    "cifar10-series": Draw(source="cifar10", rows=(18000, 25000), classes=(0, 3, 6, 8), counts=30, series=12, seed=1),
    "cifar10n-3000-a": Draw(source="cifar10", rows=(0, 3000), counts=3000, labels=("aggregate",)),
    "cifar10n-2000-b": Draw(source="cifar10", rows=(12000, 14000), counts=2000, labels=("aggregate",)),
    "gtsrb-10x150": Draw(source="gtsrb", rows=SIGNS, classes=(1, 2, 3, 4, 5, 7, 8, 9, 10, 11), counts=150),
    "gtsrb-43x45": Draw(source="gtsrb", rows=SIGNS, classes=tuple(range(43)), counts=45, seed=1),
    "gtsrb-2x400": Draw(source="gtsrb", rows=SIGNS, classes=(1, 2), counts=400, seed=1),
    "gtsrb-tracks": Draw(source="gtsrb", rows=SIGNS, classes=(1, 2, 4, 5, 10, 12), counts=250, tracks=True),
    "gtsrb-imbalanced-50": Draw(
        source="gtsrb", rows=SIGNS, classes=(12, 13, 38, 10, 25), counts=(600, 300, 120, 40, 12), seed=1
    ),
    "gtsrb-limits-others": Draw(
        source="gtsrb",
        rows=SIGNS,
        classes=tuple(range(43)),
        counts=(*[70] * 9, *[20] * 34),
        merged=(tuple(range(9)), tuple(range(9, 43))),
        seed=1,
    ),
    "digits-10x60": Draw(source="digits", rows=DIGITS, classes=TEN, counts=60),
    "digits-parity": Draw(
        source="digits", rows=DIGITS, classes=TEN, counts=85, merged=((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)), seed=1
    ),
    "digits-imbalanced-17": Draw(
        source="digits", rows=DIGITS, classes=(0, 1, 2, 3, 4, 5, 6, 7), counts=(88, 88, 88, 64, 40, 20, 10, 5), seed=1
    ),
    "celeba-8x250": Draw(source="celeba", rows=FACES, classes=tuple(range(8)), counts=250, side=32),
    "celeba-male-smiling-48": Draw(
        source="celeba", rows=FACES, classes=(0, 1, 2, 3), counts=350, labels=("Male", "Smiling"), side=48, seed=1
    ),
    "celeba-glasses-64": Draw(
        source="celeba", rows=FACES, classes=(0, 1), counts=(900, 300), labels=("Eyeglasses",), side=64, seed=1
    ),
    "clothing-10x45-64": Draw(source="clothing", rows=CLOTHES, classes=TEN, counts=45, longest=64),
    "clothing-4x130-96": Draw(source="clothing", rows=CLOTHES, classes=(2, 4, 5, 9), counts=130, longest=96, seed=1),
    "clothing-tops-others-grey-64": Draw(
        source="clothing",
        rows=CLOTHES,
        classes=TEN,
        counts=(50, 50, 90, 90, 50, 90, 50, 50, 50, 30),
        merged=((2, 3, 5, 9), (0, 1, 4, 6, 7, 8)),
        longest=64,
        grey=0.3,
        seed=2,
    ),
}
"""The images, by the sets' names."""

POISONED = (
    ("cifar10-5x300-a", ("badnets",), 3, 1),
    ("cifar10-5x300-b", ("blend",), 3, 1),
    ("cifar10-5x300-c", ("sig",), 5, 1),
    ("cifar10-imbalanced-7", ("blend",), 2, 2),
    ("gtsrb-10x150", ("badnets",), 2, 1),
    ("gtsrb-10x150", ("blend",), 3, 1),
    ("cifar10-imbalanced-110", ("badnets",), 3, 2),
    ("cifar10-10x300-a", ("badnets",), 1, 1),
    ("cifar10-10x300-b", ("blend",), 1, 1),
    ("cifar10-10x300-c", ("wanet",), 5, 1),
    ("cifar10-10x300-a", ("issba",), 3, 1),
    ("cifar10-10x300-d", ("sig",), 3, 1),
    ("cifar10-10x300-b", ("badnets_dynamic",), 3, 4),
    ("cifar10-5x300-c", ("badnets", "blend"), 4, 3),
    ("cifar10-5x300-a", ("hello_kitty",), 3, 2),
    ("cifar10-5x300-b", ("firefox_corner",), 2, 0),
    ("cifar10-10x300-d", ("reflections",), 5, 2),
    ("cifar10-5x300-c", ("trojan_square_clean_label",), 8, 4),
    ("gtsrb-43x45", ("low_frequency",), 3, 5),
    ("cifar10n-3000-a", ("badnets",), 2, 6),
    ("digits-10x60", ("badnets",), 5, 0),
    ("celeba-8x250", ("trojan_square",), 3, 7),
    ("clothing-10x45-64", ("hello_kitty",), 5, 9),
)
"""The images' name, attacks, percent and target of each set with poison."""

CASES = (*clean("develop", CLEAN), *poisoned("develop", CLEAN, POISONED, seed=0))
