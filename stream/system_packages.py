"""System packages: which one brings a library that is missing, and how it is installed here."""

import os
import re
import shutil
import sys

from stream.errors import UserError

_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[\d.]*)")
# library: its package by tool
_PACKAGES = {
    "libGL.so.1": {"apt": "libgl1", "dnf": "mesa-libGL", "pacman": "libglvnd"},
    "libEGL.so.1": {"apt": "libegl1", "dnf": "mesa-libEGL", "pacman": "libglvnd"},
    "libGLESv2.so.2": {"apt": "libgles2", "dnf": "libglvnd-gles", "pacman": "libglvnd"},
    "libgthread-2.0.so.0": {"apt": "libglib2.0-0", "dnf": "glib2", "pacman": "glib2"},
    "libglib-2.0.so.0": {"apt": "libglib2.0-0", "dnf": "glib2", "pacman": "glib2"},
    "libSM.so.6": {"apt": "libsm6", "dnf": "libSM", "pacman": "libsm"},
    "libXext.so.6": {"apt": "libxext6", "dnf": "libXext", "pacman": "libxext"},
    "libz.so.1": {"apt": "zlib1g", "dnf": "zlib", "pacman": "zlib"},
    "libstdc++.so.6": {"apt": "libstdc++6", "dnf": "libstdc++", "pacman": "gcc-libs"},
}


def install_command(**packages: str) -> str:
    """Return the command that installs system packages here.

    Args:
        packages: their names by tool: apt, dnf, pacman; the first tool that this system has
            is named, else apt.
    """
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    start = "" if root else "sudo "
    commands = {
        "apt": ("apt-get", f"{start}apt-get install {packages.get('apt', '')}"),
        "dnf": ("dnf", f"{start}dnf install {packages.get('dnf', '')}"),
        "pacman": ("pacman", f"{start}pacman -S {packages.get('pacman', '')}"),
    }
    for tool, (program, command) in commands.items():
        if tool in packages and shutil.which(program):
            return command
    return commands["apt"][1]


def missing_library(error: ImportError) -> UserError | None:
    """Tell a system library that is missing from any other reason why an import failed.

    Args:
        error: what an import raised.

    Returns:
        What to tell the user, or None where it is something else.
    """
    match = _LIBRARY.search(str(error))
    if not (match and sys.platform.startswith("linux")):
        return None
    library = match[1]
    packages = _PACKAGES.get(library)
    remedy = install_command(**packages) if packages else f"Install the package with {library}"
    return UserError(
        "A part of voltface cannot be loaded",
        f"the system library {library} is missing",
        f"Install it: {remedy}" if packages else remedy,
    )
