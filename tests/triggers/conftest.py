import pytest

from flagged_digits import ATTACKS, Poisoned, poison


@pytest.fixture(scope="session", params=ATTACKS)
def case(request) -> Poisoned:
    return poison(ATTACKS[request.param])
