"""Arguments, checked against their annotations where a function is called or an object is made.

Types are strict: True is no number, 1.5 and "3" are no integers, and no number is infinite. NumPy's numbers count as
Python's.
"""

import functools
import inspect
import os
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter
from pydantic import ValidationError as _ValidationError

from .errors import ConfigError
from .keep import KEEP

if TYPE_CHECKING:
    import torch

C = TypeVar("C", bound=Callable[..., Any])
_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _listed(values: Any) -> Any:
    return values.tolist() if isinstance(values, np.ndarray) else values


def _without_nul(path: Any) -> Any:
    if "\0" in os.fspath(path):
        raise ValueError("a path holds no NUL character")
    return path


def _callable_or_none(value: Any) -> Any:
    # timm's scripts set one in parts, and take the parts over to a dataset of their own.
    parts = value if isinstance(value, tuple) and value else (value,)
    if value is not None and value is not KEEP and not all(callable(part) for part in parts):
        raise ValueError("give a function of one value, or None for none")
    return value


def _usable(device: Any) -> Any:
    import torch

    from .training.devices import checked_device

    if not isinstance(device, str | torch.device):
        raise ValueError('give a name such as "cpu" or "cuda", or a torch.device')
    chosen = checked_device(device)
    if chosen.type == "meta":
        raise ValueError('it holds no values: try "cpu" or leave it out')
    return chosen


Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]
UpTo1 = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
"""Of a whole, and not none of it."""
Side = Annotated[int, Field(ge=8, le=256)]
"""Pixels of an image that networks look at, and that a restorer can repair."""
Within = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(_plain)]
"""Any that all of the libraries take."""
Seeds = Annotated[Sequence[Seed], BeforeValidator(_listed)]
Whole = Annotated[int, BeforeValidator(_plain)]
AnyPath = Annotated[str | Path, AfterValidator(_without_nul)]
Transform = Annotated[Any, AfterValidator(_callable_or_none)]
if TYPE_CHECKING:
    Device = str | torch.device
else:  # torch is imported where a device is given
    Device = Annotated[Any, PlainValidator(_usable)]


def checked(of: C) -> C:
    """Lets a function, or the making of a class's objects, check the arguments that have annotations.

    Raises:
        ConfigError: on a call; it names the argument, its value and what it may be.
    """
    if isinstance(of, type):
        of.__init__ = checked(of.__init__)  # type: ignore[misc]
        return of
    signature = inspect.signature(of)

    @functools.cache
    def adapters() -> dict[str, TypeAdapter[Any]]:
        own = {name: hint for name, hint in of.__annotations__.items() if name != "return"}
        hints = get_type_hints(SimpleNamespace(__annotations__=own), of.__globals__, include_extras=True)
        return {name: _adapter(hint) for name, hint in hints.items() if hint is not Any}

    @functools.wraps(of)
    def checking(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        for name, adapter in adapters().items():
            if name in given.arguments:
                given.arguments[name] = _validated(name, given.arguments[name], adapter)
        return of(*given.args, **given.kwargs)

    return checking  # type: ignore[return-value]


def check(name: str, value: Any, hint: Any) -> Any:
    """One argument alone, for functions that cannot be `checked` as a whole; returns it as a plain value.

    Raises:
        ConfigError: it is not what the annotation says.
    """
    return _validated(name, value, _adapter(hint))


def _adapter(hint: Any) -> TypeAdapter[Any]:
    form: Any = tuple[hint]  # a dataclass alone would bring settings of its own
    return TypeAdapter(form, config=_STRICT)


def _validated(name: str, value: Any, adapter: TypeAdapter[Any]) -> Any:
    try:
        return adapter.validate_python((_plain(value),))[0]
    except _ValidationError as error:
        wrong = error.errors(include_url=False)
    for entry in wrong:
        if isinstance(own := entry.get("ctx", {}).get("error"), ConfigError):
            raise own from None
    if len(wrong) == 1:  # it may be about one of several values
        value = wrong[0]["input"]
    said = [entry["msg"].removeprefix("Input ").removeprefix("Value error, ") for entry in wrong]
    raise ConfigError(f"{name}={reprlib.repr(value)}: {', or '.join(dict.fromkeys(said))}") from None
