"""What becomes of a restorer from elsewhere."""

import numpy as np
import pytest
import torch

from unpoison.errors import RestorerError
from unpoison.restoration import FAST, RestorationConfig, Restorer, adapt_restorer, train_restorer
from unpoison.triggers import Blend, MovingPatch, Patch

CONFIG = RestorationConfig(supervised_steps=80, batch_size=64, width=8, transformer_depth=1)
CHANCE = torch.tensor([0.12, 0.02])


def patch(rows, columns, value=1.0, kind=Patch):
    hole = torch.zeros(1, 8, 8)
    hole[:, rows, columns] = 1
    return kind((8, 8, 1)).set(scale=1 - hole, shift=value * hole, tolerance=torch.tensor(0.02), contrast=CHANCE)


CORNER, CENTRE = patch(slice(6, 8), slice(6, 8)), patch(slice(2, 5), slice(3, 6))


@pytest.fixture(scope="module")
def known(case):
    """Trained for a patch in the middle, where digits have most to fill in."""
    return train_restorer(case.images, case.flagged, CENTRE, CONFIG)


def stamped(case, trigger):
    """The images of the case without their poison, a tenth of them with another patch."""
    images = case.clean.copy()
    flagged = np.zeros(len(images), bool)
    flagged[::10] = True
    batch = torch.from_numpy(images[flagged]).permute(0, 3, 1, 2).float() / 255
    images[flagged] = (trigger.stamp(batch) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return images, flagged


def adapt(given, images, flagged, trigger, config=CONFIG):
    return adapt_restorer(given, images, flagged, flagged, trigger, config)


def error(restorer, images, case, flagged):
    restored = restorer(torch.from_numpy(images[flagged])).numpy()
    return np.abs(restored.astype(int) - case.clean[flagged]).mean()


def test_network_for_one_place_learns_to_fill_in_any(case, known):
    trigger = patch(slice(0, 3), slice(0, 3), kind=MovingPatch)
    images, flagged = stamped(case, trigger)
    restorer, how = adapt(known, images, flagged, trigger)
    assert how == f"fine-tuned for {CONFIG.supervised_steps // 4} steps"
    assert restorer.architecture.kind == "moving patch"
    assert error(restorer, images, case, flagged) < 0.5 * np.abs(images.astype(int) - case.clean)[flagged].mean()


def test_network_that_knows_enough_is_not_trained(case, known):
    # Found anew, it lies a little elsewhere in grey levels.
    trigger = patch(slice(2, 5), slice(3, 6), 0.98)
    images, flagged = stamped(case, trigger)
    restorer, how = adapt(known, images, flagged, trigger)
    assert how == "used as it is, with the patch that was found here"
    assert torch.equal(restorer.trigger.shift, trigger.shift)
    pairs = zip(restorer.generator.parameters(), known.generator.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert error(restorer, images, case, flagged) < 0.7 * np.abs(images.astype(int) - case.clean)[flagged].mean()


def test_network_that_is_no_help_is_fine_tuned(case, known):
    useless = Restorer(known.architecture).eval()
    useless.trigger.load_state_dict(CORNER.state_dict())
    with torch.no_grad():
        useless.generator.network.last.bias.fill_(0.5)
    images, flagged = stamped(case, CENTRE)
    restorer, how = adapt(useless, images, flagged, CENTRE)
    assert how == "fine-tuned for 20 steps"
    assert error(restorer, images, case, flagged) < np.abs(images.astype(int) - case.clean)[flagged].mean()
    assert useless.generator.network.last.bias.tolist() == [0.5]


def test_other_kinds_of_triggers(case, known):
    flagged = np.zeros(len(case.clean), bool)
    flagged[::10] = True
    faint = Blend((8, 8, 1)).set(
        scale=torch.full((1, 8, 8), 0.9), shift=torch.full((1, 8, 8), 0.05), direction=torch.ones(1, 8, 8)
    )
    restorer, how = adapt(known, case.clean, flagged, faint)
    assert (restorer.trigger.kind, how) == ("blend", "replaced; it knows another kind of trigger")
    # Without an explanation there is nothing to check the given one against.
    assert adapt(known, case.clean, flagged, None)[0] is known
    unexplained = train_restorer(case.images, case.flagged, None, FAST)
    assert adapt(unexplained, case.clean, flagged, CENTRE)[0] is unexplained


def test_pattern_that_is_known(case):
    stripes = torch.zeros(1, 8, 8)
    stripes[:, ::2] = 0.2
    known = train_restorer(
        case.images,
        case.flagged,
        Blend((8, 8, 1)).set(
            scale=torch.full((1, 8, 8), 0.8),
            shift=stripes,
            direction=stripes,
            calibration=torch.tensor([1.0, 0.5, 4.0, 0.5]),
        ),
        CONFIG,
    )
    flagged = np.arange(len(case.clean)) % 10 == 0
    images = case.clean.copy()
    images[flagged, ::2] = 250
    assert adapt(known, images, flagged, known.trigger) == (known, "used as it is; it knows this trigger")


def test_other_size_is_refused(case, known):
    images = np.zeros((20, 16, 16, 1), np.uint8)
    with pytest.raises(RestorerError, match=r"takes images \[8,8,1\], got \[16, 16, 1\]"):
        adapt(known, images, np.arange(20) < 5, None)
