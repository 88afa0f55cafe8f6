"""What the papers print, to stand beside what was measured: by table, row and heading; rates as fractions.

PD-AutoR is Chen et al., "PD-AutoR: Towards Automatic Restoration of Poisoned Examples in Machine Learning"; BaB is Chen
et al., "Bab: A novel algorithm for training clean model based on poisoned data", SafeAI 2023. Rows on data that the
benchmarks do not have (SVHN, CelebA) are left out, as are all but a few figures, of which the papers print no numbers.
"""

Figures = dict[str, float]
"""By heading."""


def _restored(apd: float, lra: float, dma_b: float, dma: float) -> Figures:
    """A row of PD-AutoR's tables 1 to 8, whose rates are percentages."""
    return {"APD": apd, "LRA": lra / 100, "DMA_B": dma_b / 100, "DMA": dma / 100}


def _trained(asr: float, ca: float) -> Figures:
    """A cell of BaB's tables 1, 3 and 4, in percent."""
    return {"ASR": asr / 100, "CA": ca / 100}


def _kept(cdr: float, pdr: float) -> Figures:
    """A cell of BaB's table 2, in percent."""
    return {"CDR": cdr / 100, "PDR": pdr / 100}


def _hours(detection: float, content: float, labels: float) -> Figures:
    """A row of PD-AutoR's table 9, in hours; here in seconds."""
    return {"detection, s": detection * 3600, "content, s": content * 3600, "labels, s": labels * 3600}


_BADNETS = _restored(0.0229, 91.2, 89.01, 90.08)
_NO_ERRORS = _restored(0.0338, 87.8, 89.33, 89.91)

PUBLISHED: dict[str, dict[str, Figures]] = {
    "pdautor-table1": {"cifar10": _BADNETS, "gtsrb": _restored(0.0175, 98.47, 98.25, 98.87)},
    "pdautor-table2": {
        "badnets": _BADNETS,
        "blend": _restored(0.0992, 83.86, 89.52, 89.43),
        "issba": _restored(0.0951, 83.73, 89.18, 89.46),
        "wanet": _restored(0.0664, 82.13, 89.17, 89.75),
    },
    "pdautor-table3": {
        "1 %": _BADNETS,
        "4 %": _restored(0.0298, 88.2, 88.83, 89.67),
        "7 %": _restored(0.0283, 85.94, 88.74, 89.37),
        "10 %": _restored(0.0321, 85.04, 88.11, 89.34),
    },
    "pdautor-table4": {"ViT-aided U-Net": _BADNETS, "U-Net": _restored(0.0338, 90.4, 89.01, 89.86)},
    "pdautor-table5": {
        "multi-granularity": _BADNETS,
        "single-granularity": _restored(0.1924, 65.2, 89.01, 89.39),
    },
    "pdautor-table6": {
        "0 %": _NO_ERRORS,
        "1 %": _restored(0.0342, 88.4, 89.46, 89.85),
        "2 %": _restored(0.0321, 86.0, 89.19, 89.75),
        "4 %": _restored(0.0373, 81.76, 89.03, 89.78),
        "8 %": _restored(0.0505, 64.48, 86.99, 89.01),
    },
    "pdautor-table7": {
        "0 %": _NO_ERRORS,
        "1 %": _restored(0.0411, 88.09, 89.30, 89.86),
        "2 %": _restored(0.0314, 86.94, 89.41, 89.94),
        "4 %": _restored(0.0370, 84.89, 89.28, 89.61),
        "8 %": _restored(0.0328, 84.71, 89.10, 89.84),
    },
    "pdautor-table8": {
        "case 1": _restored(0.0370, 87.86, 89.32, 89.66),
        "case 2": _restored(0.0350, 85.6, 89.14, 89.64),
        "case 3": _restored(0.1070, 83.87, 89.57, 89.90),
        "case 4": _restored(0.1131, 85.47, 89.25, 90.01),
    },
    "pdautor-table9": {"cifar10": _hours(5.6, 10.7, 1.1), "gtsrb": _hours(3.5, 7.9, 0.6)},
    "bab-table1": {
        "cifar10 clean, no defence": _trained(0, 83.34),
        "cifar10 badnets, no defence": _trained(97.42, 82.67),
        "cifar10 badnets, NAD": _trained(0.30, 78.67),
        "cifar10 badnets, BaB": _trained(1.88, 79.17),
        "cifar10 blend, no defence": _trained(100, 65.81),
        "cifar10 blend, NAD": _trained(4.50, 78.02),
        "cifar10 blend, BaB": _trained(0.12, 77.20),
        "cifar10 composite, no defence": _trained(79.01, 83.26),
        "cifar10 composite, NAD": _trained(7.06, 77.96),
        "cifar10 composite, BaB": _trained(2.08, 77.70),
        "cifar10 sig, no defence": _trained(99.99, 82.12),
        "cifar10 sig, NAD": _trained(0.01, 76.14),
        "cifar10 sig, BaB": _trained(0.01, 77.37),
        "cifar10 refool, no defence": _trained(99.93, 82.68),
        "cifar10 refool, NAD": _trained(0.07, 77.21),
        "cifar10 refool, BaB": _trained(0, 77.61),
        "gtsrb clean, no defence": _trained(0, 92.92),
        "gtsrb badnets, no defence": _trained(93.07, 88.25),
        "gtsrb badnets, NAD": _trained(3.23, 93.68),
        "gtsrb badnets, BaB": _trained(0.90, 92.24),
        "gtsrb blend, no defence": _trained(96.32, 90.58),
        "gtsrb blend, NAD": _trained(14.68, 89.74),
        "gtsrb blend, BaB": _trained(7.14, 89.31),
        "gtsrb composite, no defence": _trained(89.93, 90.93),
        "gtsrb composite, NAD": _trained(29.95, 91.08),
        "gtsrb composite, BaB": _trained(4.68, 91.80),
        "gtsrb sig, no defence": _trained(100, 91.24),
        "gtsrb sig, NAD": _trained(12.33, 87.72),
        "gtsrb sig, BaB": _trained(0, 90.92),
        "gtsrb refool, no defence": _trained(91.64, 85.90),
        "gtsrb refool, NAD": _trained(19.95, 89.76),
        "gtsrb refool, BaB": _trained(0, 91.82),
    },
    "bab-table2": {
        "cifar10 badnets": _kept(91.70, 0.28),
        "cifar10 blend": _kept(87.85, 0),
        "cifar10 composite": _kept(89.33, 0),
        "cifar10 sig": _kept(90.59, 0),
        "cifar10 refool": _kept(90.11, 0.02),
        "gtsrb badnets": _kept(82.75, 1.40),
        "gtsrb blend": _kept(82.74, 1.32),
        "gtsrb composite": _kept(85.74, 0),
        "gtsrb sig": _kept(90.43, 0),
        "gtsrb refool": _kept(88.67, 0),
    },
    "bab-table3": {
        "badnets 50 %, no defence": _trained(99.41, 70.64),
        "badnets 50 %, BaB": _trained(3.70, 69.36),
        "badnets 70 %, no defence": _trained(99.67, 63.32),
        "badnets 70 %, BaB": _trained(3.23, 62.58),
        "blend 50 %, no defence": _trained(99.90, 49.74),
        "blend 50 %, BaB": _trained(0.51, 71.50),
        "blend 70 %, no defence": _trained(100, 50.16),
        "blend 70 %, BaB": _trained(2.69, 65.43),
    },
    # Of the two attacks' success rates, the higher.
    "bab-table4": {
        "badnets+blend 50 %, no defence": _trained(99.83, 61.86),
        "badnets+blend 50 %, BaB": _trained(2.76, 70.03),
        "badnets+blend 70 %, no defence": _trained(100, 59.29),
        "badnets+blend 70 %, BaB": _trained(5.05, 66.19),
    },
}
