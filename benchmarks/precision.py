"""How fast networks train in bf16 and in fp32 on the machine at hand, and whether the library chooses the faster one.

    python benchmarks/precision.py [--device cuda] [--out benchmarks/results/precision-cpu.json]

ResNet-9 of width 16, batches of 128 images of 32 x 32 pixels, one thread; both precisions in turn, several rounds, and
the median counts. On a CPU it is CPU time, which other processes do not change.
"""

import time
from functools import partial

import torch
import torch.nn.functional as F

from unpoison.training.backbones import create_backbone
from unpoison.training.loop import as_input
from unpoison.training.precision import precision_of
from unpoison_bench.machine import machine_facts
from unpoison_bench.scripts import in_turn, medians, save, script_parser

BATCH, STEPS, ROUNDS, WIDTH, CLASSES = 128, 4, 5, 16, 10


def main() -> None:
    parser = script_parser(__doc__, device=True)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 32, 32, 3), dtype=torch.uint8, device=device)
    labels = torch.randint(CLASSES, (BATCH,), device=device)
    model = create_backbone("resnet9", 3, CLASSES, WIDTH).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def train(precision: str) -> None:
        for _ in range(STEPS):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                logits = model(as_input(images))
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

    ways = {precision: partial(train, precision) for precision in ("bf16", "fp32")}
    seconds = in_turn(ways, ROUNDS, partial(clock, device))
    rates = {precision: BATCH * STEPS / median for precision, median in medians(seconds).items()}
    chosen = precision_of(device)
    for precision, rate in rates.items():
        print(f"{precision} {rate:8.0f} images/s{'  (chosen)' if precision == chosen else ''}")
    result = {
        "images_per_second": rates,
        "seconds": seconds,
        "chosen": chosen,
        "chosen_is_faster": chosen == max(rates, key=lambda precision: rates[precision]),
        "machine": machine_facts(device),
    }
    save(arguments, result)


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


if __name__ == "__main__":
    main()
