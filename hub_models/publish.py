"""Pushes the restorers of this folder to the Hub, under an account or organisation that you may write to.

python hub_models/publish.py unpoison
"""

import argparse
from pathlib import Path

from unpoison import Restorer
from unpoison.hub import push_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("owner", help="account or organisation on the Hub")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    for config in sorted(arguments.folder.glob("*/config.json")):
        # What others could not read is not uploaded.
        Restorer.from_pretrained(config.parent)
        print(push_folder(config.parent, f"{arguments.owner}/restorer-{config.parent.name}", message="Add a restorer"))


if __name__ == "__main__":
    main()
