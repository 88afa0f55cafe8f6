"""Pushes a restorer to the Hub and cleans another dataset with it.

python examples/share_restorer.py cleaned/restorer user/name
"""

import argparse

import torch

from unpoison import Restorer
from unpoison.restoration import Card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="as `unpoison clean` writes it where it trains a restorer")
    parser.add_argument("repo_id", help="user/name on the Hub")
    parser.add_argument("--trained-on", default="")
    parser.add_argument("--licence", default="")
    arguments = parser.parse_args()

    restorer = Restorer.from_pretrained(arguments.folder)
    address = restorer.push_to_hub(
        arguments.repo_id, card=Card(trained_on=arguments.trained_on, licence=arguments.licence)
    )
    print(f"pushed: {address}")

    # Anyone can now write SanitizedDataset(train, restorer="user/name").
    pulled = Restorer.from_pretrained(arguments.repo_id)
    a = pulled.architecture
    images = torch.randint(0, 256, (4, a.height, a.width, a.channels), dtype=torch.uint8)
    print(f"pulled: {pulled.origin}, same output: {torch.equal(pulled(images), restorer(images))}")


if __name__ == "__main__":
    main()
