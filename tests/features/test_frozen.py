"""Frozen features: who offers them, what is made of them, and what they change in a run."""

import dataclasses
import gc

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from unpoison import FeatureSource, PDAutoRConfig, SanitizedDataset, features, register_features
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection.config import DetectionConfig
from unpoison.errors import ConfigError, HubError
from unpoison.features import get_features, pretrained, timm_features
from unpoison.stages.features import LOOK, Source
from unpoison.training import frozen as module
from unpoison.training.frozen import frozen
from unpoison.training.loop import as_input, predict
from unpoison.training.probe import fit_probe
from unpoison.training.weights import load_backbone, save_backbone

CPU = torch.device("cpu")
MODEL = "resnet10t"


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(features, "_REGISTERED", {})
    pretrained.of_the_hub.cache_clear()


class Pixels(nn.Module):
    """The features are the pixels; notes how many images it is asked about."""

    asked = 0

    def forward(self, images):
        type(self).asked += len(images)
        return images.flatten(1)


@pytest.fixture
def pixels():
    Pixels.asked = 0
    return register_features(FeatureSource(name="pixels", load=Pixels, source="nobody", version="1"))


def images_of(labels, size=8, seed=0):
    """Noise whose upper half is the brighter the higher the class: uint8 [N,size,size,1]."""
    noise = torch.randint(0, 60, (len(labels), size, size, 1), generator=torch.Generator().manual_seed(seed))
    noise[:, : size // 2] += labels[:, None, None, None] * 60
    return noise.to(torch.uint8)


def test_an_image_is_asked_about_once(pixels, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    images = as_input(images_of(torch.arange(6) % 3))
    source = frozen("pixels", CPU)
    first = source.features(images)
    assert first.shape == (6, 3 * 64)  # grey images are given as colour ones
    assert torch.equal(source.features(images.flip(0)), first.flip(0))
    assert Pixels.asked == 6
    assert frozen("pixels", CPU) is source
    del source
    gc.collect()
    frozen("pixels", CPU).features(images[:2])
    assert Pixels.asked == 8  # nothing is kept that no classifier needs


def test_what_is_remembered_is_bounded(pixels, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3 * 64 * 4 * 4)
    images = as_input(images_of(torch.arange(6) % 3))
    source = frozen("pixels", CPU)
    for part in (images[:4], images[4:], images[4:], images[:4]):
        assert torch.equal(source.features(part), part.expand(-1, 3, -1, -1).flatten(1))
    assert Pixels.asked == 4 + 2 + 2


@pytest.mark.parametrize("said", [torch.zeros(6), torch.zeros(5, 3), torch.full((6, 3), torch.nan)])
def test_what_are_no_features_is_refused(said):
    class Wrong(nn.Module):
        def forward(self, images):
            return said

    register_features(FeatureSource(name="wrong", load=Wrong, source="nobody"))
    with pytest.raises(ConfigError, match=r"features 'wrong' must be finite and of shape \[6,D\]"):
        frozen("wrong", CPU).features(as_input(images_of(torch.arange(6) % 3)))


def test_a_linear_classifier_learns_and_is_saved_without_its_features(pixels, tmp_path):
    labels, source = torch.arange(240) % 3, frozen("pixels", CPU)
    probe = fit_probe(source, source.features(as_input(images_of(labels))), labels, 4, 0)
    held_out = images_of(labels, seed=1)
    said = predict(probe, held_out).logits
    assert said.shape == (240, 4)
    assert (said.argmax(1) == labels).float().mean() > 0.98  # of class 3 there was nothing
    save_backbone(probe, tmp_path / "probe.safetensors")
    assert (tmp_path / "probe.safetensors").stat().st_size < 8000
    again = load_backbone(tmp_path / "probe.safetensors", CPU)
    assert torch.equal(predict(again, held_out).logits, said)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small model of timm, and its weights in a file."""
    torch.manual_seed(0)
    model = timm.create_model(MODEL, pretrained=False).eval()
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save_file(model.state_dict(), path)
    return model, path


def test_a_model_of_timm_sees_images_as_it_was_trained(weights):
    model, path = weights
    source = timm_features(MODEL, path, name="small")
    images = torch.rand(2, 3, 40, 32, generator=torch.Generator().manual_seed(0))
    facts = model.pretrained_cfg
    mean, deviation = (torch.tensor(facts[name])[:, None, None] for name in ("mean", "std"))
    sized = nn.functional.interpolate(images, facts["input_size"][1:], mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features((sized - mean) / deviation), pre_logits=True)
        assert torch.allclose(source.load().eval()(images), expected, atol=1e-5)
    assert len(source.version) == 64


def test_a_model_of_timm_comes_from_the_hub(weights, hub):
    _, path = weights
    hub.add(f"timm/{MODEL}.some_in1k", {"model.safetensors": path.read_bytes(), "config.json": b"{}"})
    source = get_features(f"timm/{MODEL}.some_in1k")
    assert source.version == timm_features(MODEL, path).version
    assert DetectionConfig(features=source.name).features == source.name
    assert LOOK.versions(Source(source.name)) == {source.name: source.version}
    with pytest.raises(HubError, match="there is no such model"):
        get_features(f"timm/{MODEL}.other")


def test_wrong_names():
    with pytest.raises(ConfigError, match=r"unknown features 'dino': choose a model of timm, such as timm/resnet18"):
        DetectionConfig(features="dino")
    register_features(FeatureSource(name="mine", load=Pixels, source="nobody"))
    with pytest.raises(ConfigError, match="unknown features 'dino': choose mine or a model of timm"):
        get_features("dino")
    with pytest.raises(ConfigError, match="takes a FeatureSource, got type"):
        register_features(Pixels)
    with pytest.raises(ConfigError, match="names a model of timm"):
        register_features(FeatureSource(name="timm/mine", load=Pixels, source="nobody"))
    with pytest.raises(ConfigError, match="timm has no model 'resnet10000'"):
        timm_features("resnet10000", "model.safetensors")
    with pytest.raises(ConfigError, match=r"timm has no model 'resnet10000\.a1_in1k'"):
        SanitizedDataset(load_digits(), features="timm/resnet10000.a1_in1k")


def test_weights_that_are_none(weights, tmp_path, hub):
    pickled = b"\x80\x04 code"
    (tmp_path / "model.bin").write_bytes(pickled)
    (tmp_path / "renamed.safetensors").write_bytes(pickled)
    for name in ("model.bin", "missing.safetensors"):
        with pytest.raises(ConfigError, match="give a file of safetensors that is there"):
            timm_features(MODEL, tmp_path / name)
    with pytest.raises(ConfigError, match=r"renamed\.safetensors': this is no file of safetensors"):
        timm_features(MODEL, tmp_path / "renamed.safetensors")
    with pytest.raises(ConfigError, match="are not those of resnet18"):
        timm_features("resnet18", weights[1]).load()
    hub.add(f"timm/{MODEL}.pickled", {"pytorch_model.bin": pickled, "config.json": b"{}"})
    with pytest.raises(HubError, match=r"no file model\.safetensors"):
        get_features(f"timm/{MODEL}.pickled")


def test_a_run_trains_m_on_pixels_and_the_others_on_features(pixels, tmp_path):
    digits, fast = load_digits(), PDAutoRConfig.preset("fast")
    part = LabelledImages(digits.images[:1200], digits.labels[:1200])
    poisoned = PoisonedDataset(part, BadNets(size=2), rate=0.06, target=0, seed=0)
    options = {"cache_dir": tmp_path, "device": "cpu", "progress": False}
    SanitizedDataset(poisoned, config=fast, **options).prepare()
    config = dataclasses.replace(fast, detection=dataclasses.replace(fast.detection, features="pixels"))
    report = SanitizedDataset(poisoned, config=config, **options).prepare().report
    assert Pixels.asked > 0
    assert any("linear classifier on 192 frozen features pixels" in note for note in report.notes)
    assert any("reused" in note and "what was learned" in note for note in report.notes)
    assert report.flagged[poisoned.poisoned].mean() > 0.9
    assert report.flagged[~poisoned.poisoned].mean() < 0.01
    restored = (report.action == "restore") & poisoned.poisoned
    assert (report.label[restored] == part.labels[restored]).mean() > 0.7
    asked = Pixels.asked
    register_features(dataclasses.replace(pixels, version="2"))
    SanitizedDataset(poisoned, config=config, **options).prepare()
    assert Pixels.asked > asked


def test_an_honest_dataset_comes_back_unharmed(pixels):
    fast = PDAutoRConfig.preset("fast")
    config = dataclasses.replace(fast, detection=dataclasses.replace(fast.detection, features="pixels"))
    digits = load_digits()
    part = LabelledImages(digits.images[:900], digits.labels[:900])
    report = SanitizedDataset(part, config=config, device="cpu", progress=False).prepare().report
    assert not np.any(report.flagged)
