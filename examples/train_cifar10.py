"""Trains a small network on CIFAR-10, or on scikit-learn's digits, with the training data cleaned first.

python examples/train_cifar10.py            # CIFAR-10, downloaded by torchvision
python examples/train_cifar10.py --digits   # a minute on a CPU, no download
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision.datasets import CIFAR10
from torchvision.transforms import v2

from unpoison import SanitizedDataset


def load_data(digits: bool):
    """Training set, test set, and the number of image channels."""
    if digits:
        raw = load_digits()
        images = torch.from_numpy(raw.images).float().div(16)[:, None]
        data = TensorDataset(images, torch.from_numpy(raw.target))
        return Subset(data, range(1400)), Subset(data, range(1400, len(data))), 1
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *to_tensor])
    train = CIFAR10("data", train=True, transform=augment, download=True)
    return train, CIFAR10("data", train=False, transform=v2.Compose(to_tensor), download=True), 3


def network(channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", action="store_true", help="train on digits, which need no download")
    parser.add_argument("--preset", default="default", help="of the cleaning: default, fast or paper")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train, test, channels = load_data(arguments.digits)

    train = SanitizedDataset(train, method="pdautor", config=arguments.preset).prepare()  # the one-line change
    print(train.report.summary())

    model = network(channels).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    loader = DataLoader(train, batch_size=64, shuffle=True, num_workers=arguments.workers)
    for epoch in range(1, arguments.epochs + 1):
        model.train()
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = sum(
                int((model(images.to(device)).argmax(1).cpu() == labels).sum())
                for images, labels in DataLoader(test, batch_size=500)
            )
        print(f"epoch {epoch}: test accuracy {right / len(test):.1%}")


if __name__ == "__main__":
    main()
