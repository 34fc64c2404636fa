"""The settings of the live path: defaults, a TOML file, and options on top."""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from stream.affine_settings import AffineSettings
from stream.choices import EngineName, FacesName, QualityName
from stream.errors import UserError
from stream.fit import FitSettings
from stream.hair_depth import HairSettings
from stream.hair_network import HairNetworkSettings
from stream.matte import MatteSettings
from stream.media import SinkOptions, SourceOptions
from stream.mesh import MeshSettings
from stream.networks import NetworkSettings
from stream.plate import PlateSettings
from stream.pose import PoseLimits
from stream.swap.options import SwapSettings
from stream.track import TrackSettings

Section = TypeVar("Section")

# Least and most of the numbers that are not just 0 or more.
_RANGES = {
    "camera_fps": (1.0, 1000.0),
    "camera_size": (1.0, math.inf),
    "d_cutoff": (1e-3, math.inf),
    "every": (1.0, math.inf),
    "min_cutoff": (1e-3, math.inf),
    "picture_quality": (0.0, 100.0),
    "pitch": (0.0, 90.0),
    "quality": (0.0, 51.0),
    "queue_frames": (1.0, 1000.0),
    "roll": (0.0, 180.0),
    "search_every": (1.0, math.inf),
    "seed": (-math.inf, math.inf),
    "size": (16.0, 4096.0),
    "yaw": (0.0, 90.0),
}


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
        engine: what runs the networks that voltface itself brings, and Face Mesh.
        faces: turn the largest head, or every head.
        quality: fixed at ``low`` or ``high``, or left to the governor (``auto``).
        helper: what needs no geometry is done in a second process (POSIX systems; of videos).
        seed: where given, a run gives the same result every time.
        limits: how far heads may be turned.
        networks: which networks take the place of analytic stages.
        track, fit, matte, hair, hair_network, mesh, plate: of the stages with these names.
        affine: of the method `affine`; see AffineSettings.
        swap: how a face is swapped; see SwapSettings.
        source, sink: how inputs are read and outputs are written.
        governor: see GovernorSettings.
    """

    engine: EngineName = "auto"
    faces: FacesName = "largest"
    quality: QualityName = "auto"
    helper: bool = True
    seed: int | None = None
    limits: PoseLimits = field(default_factory=PoseLimits)
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    track: TrackSettings = field(default_factory=TrackSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    matte: MatteSettings = field(default_factory=MatteSettings)
    hair: HairSettings = field(default_factory=HairSettings)
    hair_network: HairNetworkSettings = field(default_factory=HairNetworkSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    plate: PlateSettings = field(default_factory=PlateSettings)
    affine: AffineSettings = field(default_factory=AffineSettings)
    swap: SwapSettings = field(default_factory=SwapSettings)
    source: SourceOptions = field(default_factory=SourceOptions)
    sink: SinkOptions = field(default_factory=SinkOptions)
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
    settings = section_from_table(Settings(), table, where=f"settings file {path}")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return _repeatable(replace(settings, **given))


def _repeatable(settings: Settings) -> Settings:
    """Where a seed is given, let nothing run beside the frames, whose timing is never the same.

    There is no other source of chance in this version.
    """
    if settings.seed is None or settings.plate.completion != "beside":
        return settings
    return replace(settings, plate=replace(settings.plate, completion="inline"))


def section_from_table(default: Section, table: Mapping[str, object], where: str) -> Section:
    """Change a settings dataclass as a TOML table says, checking every key and value.

    Args:
        default: a dataclass; its fields may be such dataclasses.
        table: the parsed table.
        where: what to call the place in messages.

    Returns:
        A copy of default with the table's values.

    Raises:
        UserError: on an unknown key (naming the nearest known one) or a wrong value.
    """
    hints = get_type_hints(type(default))
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            raise _unknown_key(key, list(hints), where)
        before = getattr(default, key)
        if is_dataclass(before) and isinstance(value, Mapping):
            place = f"section [{key}] of the {where}"
            values[key] = section_from_table(before, value, place)
        else:
            values[key] = _checked(hints[key], value, key, where)
    return replace(default, **values)  # type: ignore[type-var]


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
    """Return the value as the hinted type and in its range, or raise a UserError on the key."""
    typed = _typed(_without_none(hint), value, key, where)
    if isinstance(typed, int | float) and not isinstance(typed, bool):
        _check_range(typed, key, where)
    return typed


def _typed(hint: Any, value: object, key: str, where: str) -> object:  # noqa: ANN401 - any type
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
    elif get_origin(hint) is tuple:
        kinds = get_args(hint)
        if kinds[-1] is ... and isinstance(value, list):
            return tuple(_row(kinds[0], item, key, where) for item in value)
        if isinstance(value, list) and len(value) == len(kinds):
            pairs = zip(kinds, value, strict=True)
            return tuple(_checked(kind, item, key, where) for kind, item in pairs)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif (
        not is_dataclass(hint)
        and isinstance(value, hint)
        and not (hint is int and isinstance(value, bool))
    ):
        return value
    raise UserError(
        f'the key "{key}" has the value {value!r}',
        f"{where} wants {_spelled(hint)} there",
        "Change the value or take the line out",
    )


def _check_range(value: float, key: str, where: str) -> None:
    least, most = _RANGES.get(key, (0.0, math.inf))
    if not (least <= value <= most and abs(value) < math.inf):
        upwards = f"of {least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        raise UserError(
            f'the key "{key}" has the value {value!r}',
            f"{where} wants a number {upwards} there",
            "Change the value or take the line out",
        )


def _row(kind: Any, item: object, key: str, where: str) -> object:  # noqa: ANN401 - any type
    """Return one item of a list of any length; of a list of tables, a section."""
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(item, Mapping):
        return section_from_table(kind(), item, f"[[{key}]] of the {where}")
    return _checked(kind, item, key, where)


def _without_none(hint: Any) -> Any:  # noqa: ANN401 - any type
    """Return the type or types that a value has where it is given: TOML has no null."""
    if not isinstance(hint, UnionType):
        return hint
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return reduce(or_, kinds)


def _spelled(hint: Any) -> str:  # noqa: ANN401 - any type
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(hint))
    if is_dataclass(hint):
        return "a section"
    if isinstance(hint, UnionType):
        return " or ".join(_spelled(kind) for kind in get_args(hint))
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        return "a list" if kinds[-1] is ... else f"a list of {len(kinds)} values"
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[hint]
