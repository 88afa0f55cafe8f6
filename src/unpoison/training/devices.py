"""The device that computes."""

import torch

from ..errors import ConfigError


def checked_device(device: str | torch.device) -> torch.device:
    """The device of this name.

    Raises:
        ConfigError: there is none, or it cannot be used.
    """
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f'device {str(device)!r} cannot be used ({reason}): try "cpu" or leave it out') from error
    return chosen


def best_device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
