"""The precision follows what the processor has instructions for, and results of two precisions never mix."""

import platform

import pytest
import torch

from unpoison.training import precision
from unpoison.training.backbones import create_backbone
from unpoison.training.loop import predict
from unpoison.training.precision import autocast, precision_of

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """Pretends to be on another machine: its architecture, and what torch says about it."""

    def pretend(architecture, *, avx512_bf16=False, amx=False, onednn=False):
        precision._computes_bf16.cache_clear()
        monkeypatch.setattr(platform, "machine", lambda: architecture)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)

    yield pretend
    precision._computes_bf16.cache_clear()


@pytest.mark.parametrize(
    ("architecture", "abilities", "expected"),
    [
        ("x86_64", {}, "fp32"),  # AVX2
        ("x86_64", {"onednn": True}, "fp32"),  # AVX-512 without bf16: supported, and slow
        ("x86_64", {"onednn": True, "avx512_bf16": True}, "bf16"),
        ("AMD64", {"onednn": True, "amx": True}, "bf16"),
        ("aarch64", {}, "fp32"),
        ("aarch64", {"onednn": True}, "bf16"),
        ("arm64", {"onednn": True}, "bf16"),
    ],
)
def test_processor_decides(machine, architecture, abilities, expected):
    machine(architecture, **abilities)
    assert precision_of(CPU) == expected
    model = create_backbone("resnet9", 1, 3, 4)
    with autocast(CPU):
        logits = model(torch.rand(2, 1, 8, 8))
    assert logits.dtype == (torch.bfloat16 if expected == "bf16" else torch.float32)
    # What is handed on is fp32 either way.
    assert predict(model, torch.zeros(2, 8, 8, 1, dtype=torch.uint8)).features.dtype == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_gpu_decides(monkeypatch, native):
    precision._computes_bf16.cache_clear()
    asked = []
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: asked.append(including_emulation) or native
    )
    assert precision_of(torch.device("cuda")) == ("bf16" if native else "fp32")
    assert asked == [False]  # older GPUs emulate it
    precision._computes_bf16.cache_clear()


def test_other_devices_compute_in_fp32():
    assert precision_of(torch.device("mps")) == "fp32"
