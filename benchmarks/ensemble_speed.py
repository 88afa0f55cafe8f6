"""How to train several verification models fastest: one after the other, by grouped convolutions, or by torch.func.

    python benchmarks/ensemble_speed.py [--device cuda] [--models 4] [--out benchmarks/results/ensemble-speed-cpu.json]

Each way takes the same steps of the verification network on the same number of images per model; ways are timed in
turn, several rounds, and the median counts. Because of the results `methods/bab.py` trains models one after the other.
"""

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from unpoison.training.backbones import create_backbone
from unpoison.training.precision import autocast
from unpoison_bench.machine import machine_facts
from unpoison_bench.scripts import in_turn, medians, save, script_parser

BATCH, STEPS, ROUNDS, WIDTH, CLASSES = 128, 8, 5, 32, 11


def sequential(models, optimizers, images, labels):
    for number, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
        for _ in range(STEPS):
            with autocast(images.device):
                logits = model(images[number])
            step(optimizer, F.cross_entropy(logits.float(), labels[number]))


def step(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


class Grouped(nn.Module):
    """`models` copies of conv5, as one network whose convolutions have a group per model."""

    def __init__(self, models: int, width: int) -> None:
        super().__init__()
        plan = [(3, width, 2), (width, 2 * width, 1), (2 * width, 2 * width, 2), (2 * width, 4 * width, 2),
                (4 * width, 4 * width, 1)]  # fmt: skip
        layers: list[nn.Module] = []
        for before, after, stride in plan:
            layers += [
                nn.Conv2d(models * before, models * after, 3, stride, 1, bias=False, groups=models),
                nn.BatchNorm2d(models * after),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1))
        self.head = nn.Conv2d(models * 4 * width, models * CLASSES, 1, groups=models)
        self.models = models

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B,models,K] of images [B,models*3,H,W]."""
        return self.head(self.body((images - 0.5) * 4)).view(len(images), self.models, CLASSES)


def grouped(model, optimizer, images, labels):
    for _ in range(STEPS):
        with autocast(images.device):
            logits = model(images)
        # A sum over models of mean losses: each model's gradient is what it would be alone.
        step(optimizer, F.cross_entropy(logits.float().flatten(0, 1), labels.T.flatten()) * model.models)


def vectorised(base, parameters, buffers, optimizer, images, labels):
    def forward(parameters, buffers, images):
        return functional_call(base, (parameters, buffers), (images,))

    for _ in range(STEPS):
        with autocast(images.device):
            logits = torch.vmap(forward, randomness="different")(parameters, buffers, images)
        step(optimizer, F.cross_entropy(logits.float().flatten(0, 1), labels.flatten()) * len(images))


def main() -> None:
    parser = script_parser(__doc__, device=True)
    parser.add_argument("--models", type=int, default=4)
    arguments = parser.parse_args()
    device, count = torch.device(arguments.device), arguments.models

    torch.manual_seed(0)
    images = torch.rand(count, BATCH, 3, 32, 32, device=device)
    labels = torch.randint(CLASSES, (count, BATCH), device=device)
    models = [create_backbone("conv5", 3, CLASSES, WIDTH).to(device).to(memory_format=torch.channels_last)
              for _ in range(count)]  # fmt: skip
    separate = [torch.optim.SGD(model.parameters(), 0.01, momentum=0.9) for model in models]
    whole = Grouped(count, WIDTH).to(device).to(memory_format=torch.channels_last)
    together = torch.optim.SGD(whole.parameters(), 0.01, momentum=0.9)
    side_by_side = images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)
    base = create_backbone("conv5", 3, CLASSES, WIDTH).to(device)
    for module in base.modules():
        # Under vmap running statistics cannot be updated in place.
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
            module.num_batches_tracked = None
        if isinstance(module, nn.ReLU):
            module.inplace = False
    parameters, buffers = stack_module_state([base] * count)
    stacked = torch.optim.SGD(parameters.values(), 0.01, momentum=0.9)
    ways = {
        "sequential": lambda: sequential(models, separate, images, labels),
        "grouped convolutions": lambda: grouped(whole, together, side_by_side, labels),
        "torch.func": lambda: vectorised(base, parameters, buffers, stacked, images, labels),
    }

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    seconds = in_turn(ways, ROUNDS, clock)
    rates = {name: count * BATCH * STEPS / median for name, median in medians(seconds).items()}
    result = {"models": count, "batch": BATCH, "width": WIDTH, "images_per_second": rates,
              "seconds": seconds, "machine": machine_facts(device)}  # fmt: skip
    for name, rate in rates.items():
        print(f"{name:22s} {rate:8.0f} images/s, {rate / rates['sequential']:.2f} of sequential")
    save(arguments, result)


if __name__ == "__main__":
    main()
