"""Trains on cleaned WebDataset shards in several processes, each of which takes its own part of the samples.

unpoison clean photos/ cleaned/
torchrun --standalone --nproc_per_node=2 examples/train_shards_ddp.py cleaned/
"""

import argparse
from pathlib import Path

import torch
import torch.distributed as dist
import webdataset
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.transforms.v2.functional import pil_to_tensor, resize

IMAGES = "png;jpg;webp;bmp"


def as_tensors(sample: tuple) -> tuple[torch.Tensor, int]:
    image, label = sample
    return resize(pil_to_tensor(image.convert("RGB")), [32, 32]).float() / 255, label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=64, help="of each process")
    arguments = parser.parse_args()

    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    shards = [str(path) for path in sorted(arguments.folder.glob("shard-*.tar"))]
    # Each process takes every n-th sample of all shards, so that there may be fewer shards than processes; without
    # an end, so that none waits for another that has run out of samples.
    samples = webdataset.WebDataset(shards, shardshuffle=False, nodesplitter=None, empty_check=False)
    samples = samples.slice(rank, None, ranks).repeat().shuffle(1000, seed=rank)
    # Only what is asked for is decoded: webdataset would unpickle, too.
    samples = samples.decode("pil", only=[*IMAGES.split(";"), "cls"]).to_tuple(IMAGES, "cls").map(as_tensors)
    batches = iter(samples.batched(arguments.batch, partial=False))

    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(2),
        nn.Flatten(), nn.Linear(128, arguments.classes),
    )  # fmt: skip
    model = DistributedDataParallel(network)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for step in range(1, arguments.steps + 1):
        images, labels = map(torch.as_tensor, next(batches))
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        dist.all_reduce(mean := loss.detach().clone() / ranks)
        if rank == 0 and step % 10 == 0:
            print(f"step {step}: loss {mean:.3f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
