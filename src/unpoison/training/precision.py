"""The precision that networks compute in: bf16 where the device has instructions for it, else fp32.

A processor without them emulates bf16, which was measured to be ten times slower than fp32 (`benchmarks/precision.py`).
"""

import functools
import platform
from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]


def precision_of(device: torch.device) -> Precision:
    """What networks compute in on a device. Results differ between the two."""
    return "bf16" if _computes_bf16(device.type) else "fp32"


def autocast(device: torch.device) -> torch.autocast:
    """Within the block, networks compute in the device's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_of(device) == "bf16")


@functools.cache
def _computes_bf16(device_type: str) -> bool:
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type != "cpu":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        # oneDNN says that it supports bf16 on AVX-512 without bf16 instructions, too, where it converts every value.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
