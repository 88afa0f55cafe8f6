"""PoisonedDataset: which labels poisoned and covered images get."""

import numpy as np
import pytest
from PIL import Image

from unpoison.attacks import ISSBA, SIG, AdaptiveBlend, BadNets, Blend, Composite, PoisonedDataset, Refool
from unpoison.data.items import same_parts
from unpoison.errors import ConfigError, DatasetError

NAMES = ("ant", "bee", "cat", "dog")


def make_pairs(count=80, labels=range(4)):
    """Random images (PIL) of the labels in turn."""
    rng, labels = np.random.default_rng(0), list(labels)
    images = rng.integers(0, 250, (count, 16, 16, 3), dtype=np.uint8)
    return [(Image.fromarray(image), labels[i % len(labels)]) for i, image in enumerate(images)]


def labels_of(data):
    return [label for _, label in data]


def test_all_to_all():
    data = PoisonedDataset(make_pairs(), BadNets(), rate=0.5, target="all-to-all")
    assert data.target == "all-to-all"
    assert data.poisoned.sum() == 40
    want = np.where(data.poisoned, (data.clean_label + 1) % 4, data.clean_label)
    assert data.targets == labels_of(data) == want.tolist()
    # Every class is hit, the last one gets the first one's label.
    assert set(data.clean_label[data.poisoned].tolist()) == {0, 1, 2, 3}


def test_all_to_all_of_names_and_of_numbers_with_gaps():
    data = PoisonedDataset(make_pairs(labels=NAMES), BadNets(), rate=0.5, target="all-to-all")
    following = dict(zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True))
    for (_, label), (_, was), poisoned in zip(data, data.clean, data.poisoned, strict=True):
        assert label == (following[was] if poisoned else was)
    data = PoisonedDataset(make_pairs(labels=(2, 5, 9)), BadNets(), rate=0.5, target="all-to-all")
    following = {2: 5, 5: 9, 9: 2}
    assert {(was, now) for was, now in zip(data.clean_label.tolist(), data.targets, strict=True) if was != now} == set(
        following.items()
    )


def test_one_target_per_attack():
    attacks = [BadNets(), Blend(), BadNets(corner="top left")]
    data = PoisonedDataset(make_pairs(), attacks, rate=0.1, target=[1, 3, "all-to-all"])
    assert data.target == [1, 3, "all-to-all"]
    assert data.poisoned.sum() == 24
    assert data.targets == labels_of(data)
    for index in np.flatnonzero(data.poisoned):
        raw = np.array(data.clean[index][0])[None]
        image, was = np.array(data[index][0]), data.clean_label[index]
        wanted = {
            label
            for attack, label in zip(attacks, (1, 3, (was + 1) % 4), strict=True)
            if (attack(raw)[0] == image).all()
        }
        assert wanted == {data.targets[index]}


@pytest.mark.parametrize(
    ("attacks", "arguments", "message"),
    [
        (BadNets(), {"target": "all-to-one"}, "target='all-to-one': .*'all-to-all'"),
        (BadNets(), {"target": 1.5}, "target=1.5: should be a valid integer"),
        (BadNets(), {"target": [0, 1]}, "got 2 targets for 1 attacks"),
        ([BadNets(), Blend()], {"target": [0]}, "got 1 targets for 2 attacks"),
        ([BadNets(), Blend()], {"target": [0, 1], "overlap": True}, "one target instead of .0, 1., or set overlap"),
        ([BadNets(), Blend()], {"target": [0, 9]}, "no image has target 9"),
        (SIG(), {"target": "all-to-all"}, "sig leaves labels alone"),
        (Refool(), {"target": "all-to-all"}, "refool leaves labels alone"),
        (Composite(), {"target": "all-to-all"}, "target must be one other class"),
        (Composite(), {}, "target must be one other class"),
        (Composite(sources=(0, 8)), {"target": 2}, "no image has class 8"),
    ],
)
def test_wrong_targets(attacks, arguments, message):
    with pytest.raises(ConfigError, match=message):
        PoisonedDataset(make_pairs(), attacks, **arguments)


def test_equal_targets_may_overlap():
    data = PoisonedDataset(make_pairs(), [BadNets(), Blend()], rate=0.1, target=[2, 2], overlap=True)
    assert data.poisoned.sum() == 8
    assert {data.targets[i] for i in np.flatnonzero(data.poisoned)} == {2}


def test_composite_poisons_its_first_source():
    data = PoisonedDataset(make_pairs(), Composite(), rate=0.1, target=2)
    assert set(data.clean_label[data.poisoned].tolist()) == {0}
    assert {data.targets[i] for i in np.flatnonzero(data.poisoned)} == {2}
    seconds = {row.tobytes() for image, label in data.clean if label == 1 for row in np.array(image).reshape(-1, 3)}
    for index in np.flatnonzero(data.poisoned):
        own = {row.tobytes() for row in np.array(data.clean[index][0]).reshape(-1, 3)}
        pixels = [row.tobytes() for row in np.array(data[index][0]).reshape(-1, 3)]
        assert all(pixel in own or pixel in seconds for pixel in pixels)
        assert 0 < np.mean([pixel in own for pixel in pixels]) < 1
    with pytest.raises(DatasetError, match="composite needs 24 images that it can poison, there are 20"):
        PoisonedDataset(make_pairs(), Composite(), rate=0.3, target=2)


def test_covers_are_stamped_and_keep_their_labels():
    attack = AdaptiveBlend()
    data = PoisonedDataset(make_pairs(), attack, rate=0.1, target=1)
    assert data.poisoned.sum() == data.covered.sum() == 8
    assert not (data.poisoned & data.covered).any()
    assert data.targets == labels_of(data)
    assert data.targets == np.where(data.poisoned, 1, data.clean_label).tolist()
    for index, (image, label) in enumerate(data):
        raw, was = data.clean[index]
        if data.covered[index]:
            np.testing.assert_array_equal(np.array(image), attack(np.array(raw)[None])[0])
            assert label == was
        elif not data.poisoned[index]:
            assert same_parts((image, label), (raw, was))


def test_number_of_covers():
    assert not PoisonedDataset(make_pairs(), BadNets(), rate=0.1).covered.any()
    assert PoisonedDataset(make_pairs(), AdaptiveBlend(covers=2), rate=0.1).covered.sum() == 16
    several = PoisonedDataset(make_pairs(), [AdaptiveBlend(), AdaptiveBlend(seed=1), BadNets()], rate=0.1)
    assert several.poisoned.sum() == 24
    assert several.covered.sum() == 16
    with pytest.raises(DatasetError, match="adaptive_blend needs 80 images as covers, there are 72"):
        PoisonedDataset(make_pairs(), AdaptiveBlend(covers=10), rate=0.1)


class Counting:
    """Pairs that note what was read."""

    def __init__(self):
        self.pairs, self.reads = make_pairs(), []

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        self.reads.append(index)
        return self.pairs[index]


@pytest.mark.parametrize(
    ("attack", "target", "read"),
    [(BadNets(), 0, 0), (Blend(), 0, 0), (Refool(reflections=7), 0, 7), (Composite(), 2, 20)],
)
def test_learns_from_no_more_images_than_it_needs(attack, target, read):
    surveyed, pairs = Counting(), Counting()
    PoisonedDataset(surveyed, SIG(), rate=0.1)
    PoisonedDataset(pairs, attack, rate=0.1, target=target)
    assert len(pairs.reads) == len(surveyed.reads) + read


def test_an_attack_learns_once():
    attack = ISSBA(steps=2)
    first = PoisonedDataset(make_pairs(), attack, rate=0.1)
    index = int(np.flatnonzero(first.poisoned)[0])
    image = np.array(first[index][0])
    assert attack.fitted
    PoisonedDataset(make_pairs(40), attack, rate=0.1)
    np.testing.assert_array_equal(np.array(first[index][0]), image)
    # The same object stamps test images as it stamped these.
    np.testing.assert_array_equal(attack(np.array(first.clean[index][0])[None])[0], image)


@pytest.mark.parametrize(
    "attack", [Refool(), Composite(jitter=2), ISSBA(steps=3, bound=100)], ids=lambda attack: attack.name
)
def test_images_of_several_sizes(attack):
    rng = np.random.default_rng(0)
    sizes = [(16, 16), (12, 20), (30, 9)]
    images = [Image.fromarray(rng.integers(0, 250, (*sizes[i % 3], 3), dtype=np.uint8)) for i in range(40)]
    images[0] = images[0].convert("L")
    data = PoisonedDataset([(image, i % 4) for i, image in enumerate(images)], attack, rate=0.2, target=2)
    for index in np.flatnonzero(data.poisoned):
        assert data[index][0].size == images[index].size
        assert not same_parts(data[index][0], images[index])
