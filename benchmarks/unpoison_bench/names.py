"""Names of all benchmarks, without their code: the command line lists them and should start fast."""

SUITE_NAMES = ("core", "bab")
FALSE_ALARMS, PHOTOGRAPHS = "false-alarms", "photographs"
COMPARISON_NAMES = (
    *(f"pdautor-fig{number}" for number in (4, 8, 9, 10)),
    *(f"pdautor-table{number}" for number in range(1, 10)),
    "pdautor-fig15",
    *(f"bab-table{number}" for number in range(1, 5)),
    "bab-fig5",
    "bab-fig6",
    "ours",
)
NAMES = (*SUITE_NAMES, FALSE_ALARMS, PHOTOGRAPHS, *COMPARISON_NAMES)
SCALE_NAMES = ("smoke", "cpu", "full")
HALF_NAMES = ("develop", "unseen")
