"""The settings of the live path: defaults, a TOML file, and options on top."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from stream.errors import UserError
from stream.pose import PoseLimits

EngineName = Literal["auto", "tensorrt", "tensorrt-rtx", "openvino", "onnxruntime"]
FacesName = Literal["largest", "all"]
QualityName = Literal["auto", "low", "high"]

Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class GovernorSettings:
    """When a live stream gives up quality for speed, and when it takes it back.

    Attributes:
        lower_above: mean frame time, as a share of the time between two frames of the
            source, above which quality goes one level down.
        raise_below: the share below which it goes one level up.
        lower_after_s: how long the first must hold.
        raise_after_s: how long the second must hold; doubles each time that a raise had to
            be taken back soon after, so that quality does not swing.
    """

    lower_above: float = 0.95
    raise_below: float = 0.55
    lower_after_s: float = 0.6
    raise_after_s: float = 6.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the user can set for the path of a frame.

    Attributes:
        engine: what runs the networks that voltface itself brings.
        faces: turn the largest head, or every head.
        quality: fixed at ``low`` or ``high``, or left to the governor (``auto``).
        seed: start of every random choice.
        limits: see PoseLimits.
        governor: see GovernorSettings.
    """

    engine: EngineName = "auto"
    faces: FacesName = "largest"
    quality: QualityName = "auto"
    seed: int = 0
    limits: PoseLimits = field(default_factory=PoseLimits)
    governor: GovernorSettings = field(default_factory=GovernorSettings)


def load_settings(path: Path | None, **options: object) -> Settings:
    """Read settings from a TOML file and put command line options on top.

    Args:
        path: the file, or None for the defaults.
        options: fields of Settings; None leaves what the file or the default says.

    Returns:
        The settings.

    Raises:
        UserError: if the file cannot be read, or holds a key or a value that is not known.
    """
    table = {} if path is None else _read_toml(path)
    settings = section_from_table(Settings, table, where=f"settings file {path}")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return replace(settings, **given)


def section_from_table(kind: type[Section], table: Mapping[str, object], where: str) -> Section:
    """Build a settings dataclass from a TOML table, checking every key and value.

    Args:
        kind: a dataclass whose fields all have defaults; fields may be such dataclasses.
        table: the parsed table.
        where: what to call the place in messages.

    Returns:
        An instance of kind.

    Raises:
        UserError: on an unknown key (naming the nearest known one) or a wrong value.
    """
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in known:
            raise _unknown_key(key, known, where)
        values[key] = _checked(hints[key], value, key, where)
    return kind(**values)


def _read_toml(path: Path) -> dict[str, object]:
    what = f"cannot read the settings file {path}"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or "it cannot be opened"
        raise UserError(what, why, "Give --config a file that exists and is readable") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(what, f"it is not TOML ({error})", "Mend that line") from error


def _unknown_key(key: str, known: list[str], where: str) -> UserError:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    remedy = f'Did you mean "{near[0]}"?' if near else f"Known here: {', '.join(known)}"
    return UserError(f'unknown key "{key}"', f"{where} does not have it", remedy)


def _checked(hint: Any, value: object, key: str, where: str) -> object:  # noqa: ANN401 - any type
    """Return the value as the hinted type, or raise a UserError that names the key."""
    if is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, Mapping):
            return section_from_table(hint, value, where=f"section [{key}] of the {where}")
    elif get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise UserError(
        f'the key "{key}" has the value {value!r}',
        f"{where} wants {_spelled(hint)} there",
        "Change the value or take the line out",
    )


def _spelled(hint: Any) -> str:  # noqa: ANN401 - any type
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(hint))
    if is_dataclass(hint):
        return "a section"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[hint]
