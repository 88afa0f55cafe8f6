"""`unpoison cache`: what is kept, and room."""

import argparse
import time
from datetime import datetime

from .options import Command
from .streams import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "prune"), help="show what is kept, or remove what is not in use")
    parser.add_argument(
        "--max-size", metavar="SIZE", help="of prune: what was not used for longest goes, until so much is left: 20GB"
    )
    parser.add_argument("--unused", type=float, metavar="DAYS", help="of prune: what was not used for so long goes")


def run(arguments: argparse.Namespace) -> None:
    from ..data.cache import default_root
    from ..data.pruning import Entry, entries, parse_size, prune
    from ..errors import ConfigError

    root = default_root()
    given = arguments.max_size is not None or arguments.unused is not None
    if given != (arguments.action == "prune"):
        raise ConfigError(
            "say what prune removes: --max-size 20GB, --unused DAYS, or both; --max-size 0 is all"
            if arguments.action == "prune"
            else "--max-size and --unused are of prune: leave them out"
        )
    if arguments.action == "list":
        found = entries(root)
    else:
        if arguments.unused is not None and arguments.unused < 0:
            raise ConfigError(f"--unused={arguments.unused} is no number of days: give 30, or 0.5")
        limit = None if arguments.max_size is None else parse_size(arguments.max_size, "--max-size")
        since = None if arguments.unused is None else time.time() - 86400 * arguments.unused
        found = prune(root, limit=limit, unused_since=since)

    def line(entry: Entry) -> str:
        used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        return f"{entry.size / 1e6:10.1f} MB  {used}  {entry.kind:12}  {entry.path}"

    total = sum(entry.size for entry in found) / 1e6
    done = "removed" if arguments.action == "prune" else "kept"
    facts = [{"path": str(e.path), "kind": e.kind, "bytes": e.size, "used": e.used} for e in found]
    show(arguments, "\n".join([*map(line, found), f"{total:10.1f} MB  {done} in {root}"]), facts)


COMMAND = Command(
    name="cache",
    help="show what is kept in the cache, and make room",
    description="Lists what lies in the cache folder (UNPOISON_CACHE), last what was used last, or removes what is not "
    "in use. Whatever goes is made again when it is needed. UNPOISON_CACHE_LIMIT=20GB prunes after each run.",
    example="unpoison cache prune --max-size 20GB",
    add_arguments=add_arguments,
    run=run,
)
