"""What the commands write: results to stdout, the log to stderr."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..printable import printable


def show(arguments: argparse.Namespace, text: str, facts: Any) -> None:
    """Prints the result at once: `facts` with --json, else `text`."""
    with quiet_when_unread():
        print(json.dumps(facts, indent=1) if arguments.json else _shown(text))


def _shown(text: str) -> str:
    """With escapes for what the terminal's encoding lacks, and for names that are no text."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def quiet_when_unread() -> Iterator[None]:
    """Ends the process without a traceback where nobody reads stdout any more, as in `unpoison ... | head`."""
    try:
        try:
            yield
        finally:
            print(end="", flush=True)
    except BrokenPipeError:
        # What is still buffered would raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


@contextmanager
def logging_to_stderr(verbosity: int) -> Iterator[None]:
    """Shows the package's log within the block: nothing at 0, INFO at 1, DEBUG above."""
    if not verbosity:
        yield
        return
    logger, handler = logging.getLogger("unpoison"), _ToStderr()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _ToStderr(logging.Handler):
    """Writes to what `sys.stderr` is at that moment: while bars are shown, something that writes above them."""

    def emit(self, record: logging.LogRecord) -> None:
        print(printable(self.format(record)), file=sys.stderr, flush=True)
