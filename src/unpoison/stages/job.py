"""A stage to be done, as a text that another process or machine can read: nothing is pickled."""

import json
from pathlib import Path
from typing import Any, Self

import msgspec
import torch

from ..context import Context
from ..progress import Progress
from ..settings import parse_config
from ..training.devices import checked_device
from ..training.threads import free_cores
from .registry import get_stage
from .stage import Inputs, Stage


class Job(msgspec.Struct, kw_only=True):
    """What `Stage.run` is called with."""

    stage: str
    """Its name; whoever does it must have registered it."""
    inputs: dict[str, str]
    """Folders by what they hold."""
    out: str
    """An empty folder."""
    config: Any
    """As JSON has it."""
    device: str
    """To compute on."""
    seed: int
    """Of everything random."""

    @classmethod
    def of(cls, stage: Stage, inputs: Inputs, out: Path, config: Any, context: Context) -> Self:
        """What `LocalExecutor.work` is asked for."""
        return cls(
            stage=stage.name,
            inputs={name: str(folder) for name, folder in inputs.items()},
            out=str(out),
            config=msgspec.to_builtins(config),
            device=str(context.device),
            seed=context.seed,
        )

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """What `encode` made.

        Raises:
            ValueError: it is something else.
        """
        return msgspec.json.decode(data, type=cls)

    def do(self, progress: bool | None = False) -> None:
        """Does it here.

        Args:
            progress: as `Sanitizer` takes it.

        Raises:
            ConfigError: the stage is not known here, its configuration is not one, or the device cannot be used.
        """
        stage = get_stage(self.stage)
        config = parse_config(stage.config_class, json.dumps(self.config), f"the configuration of stage {stage.name}")
        context = Context(checked_device(self.device), self.seed, Progress(progress))
        torch.manual_seed(self.seed)
        with free_cores():
            stage.run({name: Path(folder) for name, folder in self.inputs.items()}, Path(self.out), config, context)
