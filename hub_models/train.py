"""Trains the restorers that are published: each fills in patches of any place, size and content on its dataset.

    UNPOISON_DATA=/path/to/data python hub_models/train.py [cifar10 gtsrb] [--steps 5000] [--device cuda]

A restorer learns from clean training images, with another patch on every batch. Its card says how well it does on test
images under patches that it has not seen, of the families that it learned from.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from unpoison.restoration import Card, RestorationConfig, Restorer
from unpoison.restoration.architecture import Architecture
from unpoison.restoration.pairs import Pairs
from unpoison.training.loop import as_input
from unpoison.triggers import Patch
from unpoison_bench.data import load_images
from unpoison_bench.machine import machine_facts

FOLDER = Path(__file__).parent
DATASETS = {"cifar10": "CIFAR-10", "gtsrb": "GTSRB at 32 x 32 pixels"}
FAMILIES = ("white square", "coloured rectangle", "checkerboard", "noise", "scattered pixels")
SIDES = (2, 8)
"""Pixels, of patches."""
TEST_IMAGES, TEST_PATCHES = 500, 8
REFERENCE = 200
"""Images that tell how often clean ones match a patch by chance."""
CONFIG = RestorationConfig()


def random_patch(family, images, rng):
    """A patch of this family, somewhere on images like these, uint8 [N,H,W,C]."""
    height, width, channels = images.shape[1:]
    tall, wide = rng.integers(SIDES[0], SIDES[1] + 1, 2)
    if family == "white square":
        wide = tall
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    mask = np.zeros((height, width), bool)
    mask[top : top + tall, left : left + wide] = True
    if family == "scattered pixels":
        mask &= rng.random(mask.shape) < 0.6
        mask[top, left] = True
    values = {
        "white square": lambda: np.ones(images.shape[1:]),
        "coloured rectangle": lambda: np.broadcast_to(rng.random(channels), images.shape[1:]),
        "checkerboard": lambda: np.broadcast_to(np.indices((height, width)).sum(0)[..., None] % 2, images.shape[1:]),
    }.get(family, lambda: rng.random(images.shape[1:]))()
    return _patch(mask, values, images)


def _patch(mask, values, images):
    return Patch.of(torch.from_numpy(mask), torch.tensor(values * mask[..., None], dtype=torch.float32), images)


def white_corner(images):
    """The 3x3 white corner of BadNets, which the published restorer itself expects."""
    mask = np.zeros(images.shape[1:3], bool)
    mask[-3:, -3:] = True
    return _patch(mask, np.ones(images.shape[1:]), images)


def errors(restorer, patch, images):
    """Mean absolute errors, 0..1, of the pixels under a patch: restored, filled from around it, left as they are."""
    restorer.trigger.load_state_dict(patch.state_dict())
    x = as_input(torch.from_numpy(images))
    with torch.inference_mode():
        stamped = patch.stamp(x)
        hole = patch.hole(stamped)
        outcomes = restorer.correct(stamped), patch.invert(stamped), stamped
        return [float(((outcome - x).abs() * hole).mean() / hole.mean()) for outcome in outcomes]


def train(name, steps, seed, device):
    """The restorer of a dataset, and what was measured."""
    images, test = (load_images(name, split).images for split in ("train", "test"))
    rng = np.random.default_rng(seed)
    few = images[rng.permutation(len(images))[:REFERENCE]]
    height, width, channels = images.shape[1:]
    torch.manual_seed(seed)
    restorer = Restorer(
        Architecture(
            height=height, width=width, channels=channels, kind="patch", generator_width=CONFIG.width,
            transformer_depth=CONFIG.transformer_depth, residual=True, positions=True,
        )
    ).to(device)  # fmt: skip
    restorer.trigger.load_state_dict(white_corner(few).state_dict())
    # Training asks a patch only where it is and what it shows, not how often clean images match it.
    Pairs(images, np.arange(len(images)), CONFIG, device=device, seed=seed).train(
        restorer, steps, others=lambda: random_patch(FAMILIES[rng.integers(len(FAMILIES))], few[:1], rng)
    )
    restorer = restorer.cpu().eval()
    test = test[np.sort(rng.permutation(len(test))[:TEST_IMAGES])]
    patches = {family: [random_patch(family, few, rng) for _ in range(TEST_PATCHES)] for family in FAMILIES}
    measured = {
        family: np.mean([errors(restorer, patch, test) for patch in drawn], 0).tolist()
        for family, drawn in {"white 3x3 corner": [white_corner(few)], **patches}.items()
    }
    restorer.trigger.load_state_dict(white_corner(few).state_dict())
    return restorer, measured


def card(name, steps, measured):
    return Card(
        trained_on=f"{DATASETS[name]}, all training images, {steps} batches of {CONFIG.batch_size}",
        attacks=FAMILIES,
        figures={
            f"{family}: error restored / filled from around / left alone": " / ".join(f"{error:.4f}" for error in found)
            for family, found in measured.items()
        },
        licence="apache-2.0",
        limits=(
            "It expects a white 3x3 corner. For another patch, unpoison tells it where that lies.",
            "Errors are mean absolute differences, 0..1, of the pixels under the patch on "
            f"{TEST_IMAGES} test images; of each family {TEST_PATCHES} patches that were not trained on.",
            "Patterns over the whole image and warped images are not its work.",
        ),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=list(DATASETS), metavar="DATASET")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    for name in arguments.datasets:
        machine = machine_facts(torch.device(arguments.device))
        restorer, measured = train(name, arguments.steps, arguments.seed, torch.device(arguments.device))
        folder = arguments.out / f"patches-{name}"
        (folder / "README.md").unlink(missing_ok=True)  # that of an earlier training would stay
        restorer.save_pretrained(folder, card=card(name, arguments.steps, measured))
        facts = {"errors": measured, "steps": arguments.steps, "seed": arguments.seed, "machine": machine}
        (folder / "measured.json").write_text(json.dumps(facts, indent=1) + "\n")
        print(folder, measured, flush=True)


if __name__ == "__main__":
    main()
