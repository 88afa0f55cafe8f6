"""The rows of `core` and `bab`."""

import pytest

from unpoison.errors import ConfigError
from unpoison.methods import list_methods
from unpoison.training.loop import TrainingConfig
from unpoison_bench.rows import METHODS, SUITES, Row, paper_config


def test_every_row_has_a_meaning():
    rows = [Row.named(suite, name) for suite, names in SUITES.items() for name in names]
    assert {row.dataset for row in rows} == {"cifar10", "gtsrb"}
    assert all((row.attacks == ()) == (row.rate == 0) for row in rows)
    assert {row.method for row in rows} == set(METHODS.values()) <= set(list_methods())
    assert Row.named("core", "gtsrb-blend-0.3").rate == pytest.approx(0.003)
    assert Row.named("bab", "cifar10-badnets+blend-50").attacks == ("badnets", "blend")
    limits = {name: Row.named("bab", name).max_altered for name in SUITES["bab"]}
    assert [name for name, most in limits.items() if most == 0.5] == [
        "cifar10-badnets-5", "cifar10-sig-5", "cifar10-clean", "cifar10-badnets-1", "cifar10-blend-1"
    ]  # fmt: skip
    assert set(limits.values()) == {0.5, 1.0}
    paper = Row.named("core", "cifar10-sig-1-paper")
    assert (paper.paper, paper.attacks, paper.default) == (True, ("sig",), "cifar10-sig-1")
    assert Row.named("bab", "cifar10-clean-paper").attacks == ()
    with pytest.raises(ConfigError, match="unknown row"):
        Row.named("core", "mnist-clean")


def test_paper_row_takes_network_and_training_from_the_default():
    training = {"epochs": 9, "batch_size": 32, "flip": False}
    config, deviations = paper_config({"backbone": "resnet18", "width": 8, "training": training})
    assert config.detection.outliers == "svd"
    assert not config.restoration.use_estimate
    assert (config.detection.backbone, config.detection.width) == ("resnet18", 8)
    assert config.detection.training == TrainingConfig(**training)
    assert config.restoration.cyclegan_max_steps == 300
    assert "9 epochs" in deviations[0]
    assert "300 batches" in deviations[1]
    assert paper_config(None)[0].detection.training == TrainingConfig(epochs=15, flip=True)
