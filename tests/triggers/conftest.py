import pytest

from flagged_digits import ATTACKS, Poisoned, poison
from unpoison.triggers import registry


@pytest.fixture(scope="session", params=ATTACKS)
def case(request) -> Poisoned:
    return poison(ATTACKS[request.param])


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    registry._load_entry_points.cache_clear()
    yield
    registry._load_entry_points.cache_clear()
