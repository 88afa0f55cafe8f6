"""Cleans a Hugging Face dataset: scikit-learn's digits with a white corner as a backdoor in one of 25."""

import datasets
import numpy as np
from sklearn.datasets import load_digits

import unpoison


def load_data() -> datasets.Dataset:
    digits = load_digits()
    images, labels = (digits.images * 15).astype(np.uint8), digits.target.copy()
    poisoned = np.random.default_rng(0).permutation(len(labels))[: len(labels) // 25]
    images[poisoned, -2:, -2:], labels[poisoned] = 255, 0
    features = datasets.Features({"image": datasets.Array2D((8, 8), "uint8"), "label": datasets.ClassLabel(10)})
    return datasets.Dataset.from_dict({"image": list(images), "label": labels.tolist()}, features=features)


def main() -> None:
    splits = datasets.DatasetDict(train=load_data())
    cleaned = unpoison.sanitize(splits, config="fast")["train"]  # the one-line change
    restored = sum(action == "restore" for action in cleaned["unpoison_action"])
    print(f"{len(splits['train'])} rows, {len(cleaned)} after cleaning, {restored} of them restored")


if __name__ == "__main__":
    main()
