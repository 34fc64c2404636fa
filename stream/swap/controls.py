"""The keys that change a swap while it runs, and profiles: settings that were given a name."""

from __future__ import annotations

import math
import os
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_config_path

from stream.errors import UserError
from stream.swap.options import SwapSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP = 0.1
# key: (setting, change); a toggle has no change
KEYS: dict[str, tuple[str, float]] = {
    "1": ("strength", -STEP),
    "2": ("strength", +STEP),
    "3": ("shape", -STEP),
    "4": ("shape", +STEP),
    "5": ("colour_match", -STEP),
    "6": ("colour_match", +STEP),
    "7": ("sharpness", -STEP),
    "8": ("sharpness", +STEP),
    "z": ("softness", -STEP),
    "x": ("softness", +STEP),
    "e": ("keep_brows", 0.0),
    "t": ("mouth", 0.0),
}
SHARES = ("strength", "shape", "softness", "colour_match", "sharpness", "grain")
_SAVED = (*SHARES, "keep_brows", "mouth", "most_turned")
_NAME = re.compile(r"[\w][\w .-]{0,63}")


def pressed(settings: SwapSettings, key: str) -> SwapSettings:
    """Return the settings after a key; others than those of KEYS change nothing."""
    if key not in KEYS:
        return settings
    name, change = KEYS[key]
    before = getattr(settings, name)
    after = not before if change == 0 else round(min(1.0, max(0.0, before + change)), 6)
    return replace(settings, **{name: after})  # type: ignore[arg-type]


def checked(settings: SwapSettings) -> SwapSettings:
    """Return the settings if every share is one.

    Raises:
        UserError: if a share is not between 0 and 1, or the angle not between 0 and 90.
    """
    for name in SHARES:
        value = getattr(settings, name)
        if not 0.0 <= value <= 1.0:
            what = f"{name} of the swap is {value:g}"
            raise UserError(what, "it is a share", "Give a number from 0 to 1")
    if not (math.isfinite(settings.most_turned) and 0 < settings.most_turned <= 90):
        what = f"most_turned of the swap is {settings.most_turned:g}"
        raise UserError(what, "it is an angle to the camera", "Give degrees, 0 to 90")
    return settings


def config_folder() -> Path:
    """Return the folder of what the user keeps: ``$VOLTFACE_CONFIG``, or the system's own."""
    given = os.environ.get("VOLTFACE_CONFIG")
    if given:
        return Path(given).expanduser()
    return user_config_path("voltface", appauthor=False, roaming=True)


def profile_path(name: str) -> Path:
    """Return where a profile lies.

    Raises:
        UserError: if the name cannot be that of a file.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f'"{name}" cannot name a profile',
            "letters, digits, spaces, points and dashes make a name",
            "Choose another one, say stage",
        )
    return config_folder() / "swap" / f"{name}.toml"


def known_profiles() -> list[str]:
    """Return the names of the profiles that were saved."""
    return sorted(path.stem for path in (config_folder() / "swap").glob("*.toml"))


def read_profile(name: str) -> dict[str, object]:
    """Read a profile as a table of the section `[swap]`.

    Raises:
        UserError: if there is none of that name, or it cannot be read.
    """
    path = profile_path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        there = ", ".join(known_profiles()) or "none so far"
        raise UserError(
            f'there is no profile "{name}"', f"saved are: {there}", "Save it with --save-profile"
        ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read the profile {path}", str(error), "Mend or delete it"
        ) from error


def save_profile(name: str, settings: SwapSettings) -> Path:
    """Save what the keys can change under a name.

    Raises:
        UserError: if it cannot be written.
    """
    path = profile_path(name)
    text = "".join(f"{key} = {_toml(getattr(settings, key))}\n" for key in _SAVED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(f"cannot save the profile {path}", why, "Free the folder") from error
    return path


def given_settings(settings: SwapSettings, options: Mapping[str, object]) -> SwapSettings:
    """Return settings with those options on top that were given, checked."""
    known = {field.name for field in fields(SwapSettings)}
    given = {name: value for name, value in options.items() if value is not None and name in known}
    return checked(replace(settings, **given))  # type: ignore[arg-type]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
