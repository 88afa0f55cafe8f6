"""Settings of a method as text: a TOML file, and single values. pydantic reads the dataclasses that hold them."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from .data.reading import read_bytes
from .errors import ConfigError, DamagedError

C = TypeVar("C")
_MAX_FILE = 1 << 20
"""Bytes."""


def with_settings(config: C, file: Path | None = None, values: Sequence[str] = ()) -> C:
    """A configuration with some settings changed.

    Args:
        config: a configuration of a method, such as `PDAutoRConfig`.
        file: TOML, whose tables are the fields, as in `detection.width = 8`.
        values: "detection.width=8" and so on, which count more than the file. Values are TOML; what is none is text.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown, of another type or out of range.
    """
    plain = dataclasses.asdict(config)  # type: ignore[call-overload]
    changes = [] if file is None else [(str(file), _read(file))]
    changes += [(f"--set {value}", _parsed(value)) for value in values]
    for place, change in changes:
        plain = _merged(plain, change)
        # As JSON, whose lists are tuples and whose 1 is a fraction, too; each change alone, to blame the right one.
        config = parse_config(type(config), json.dumps(plain), place)
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bytes(file, _MAX_FILE).decode())
    except (DamagedError, ValueError) as error:
        reason = error.reason if isinstance(error, DamagedError) else error
        raise ConfigError(f"{file} holds no settings in TOML ({reason}): see https://toml.io") from error


def _parsed(value: str) -> dict[str, Any]:
    key, equals, text = value.partition("=")
    try:
        if not equals:
            raise ValueError
        try:
            return tomllib.loads(f"{key}={text}")
        except tomllib.TOMLDecodeError:
            return tomllib.loads(f"{key}={json.dumps(text)}")
    except ValueError as error:
        raise ConfigError(f"--set {value} is no setting: give it as detection.width=8") from error


def _merged(plain: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(plain)
    for key, value in change.items():
        inside = out.get(key)
        out[key] = _merged(inside if isinstance(inside, dict) else {}, value) if isinstance(value, dict) else value
    return out


def parse_config(kind: type[C], text: str, place: str) -> C:
    """A configuration of a type from JSON.

    Raises:
        ConfigError: it is none; `place` says where it comes from.
    """
    form: Any = tuple[kind]  # type: ignore[valid-type]  # a dataclass alone would bring settings of its own
    strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    try:
        made: C = TypeAdapter(form, config=strict).validate_json(f"[{text}]")[0]
    except ValidationError as error:
        said = {".".join(map(str, one["loc"][1:])): _reason(one["type"], one["msg"]) for one in error.errors()}
        raise ConfigError(f"{place}: {'; '.join(f'{name}: {reason}' for name, reason in said.items())}") from None
    return made


def _reason(kind: str, message: str) -> str:
    if kind == "unexpected_keyword_argument":
        return "there is no such setting, see the configurations in the API reference"
    return message.removeprefix("Value error, ").removeprefix("Input ")
