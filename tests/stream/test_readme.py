"""The README says nothing that is not so, as far as a program can tell."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream.cli import COMMANDS
from stream.pose import PoseLimits
from stream.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def help_of_repose() -> str:
    command = [sys.executable, "-m", "stream", "repose", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_option_of_the_table_exists_and_none_is_forgotten(help_of_repose):
    table = TEXT.split("## Options of `repose`")[1].split("Angles are added")[0]
    told = set(re.findall(r"`(--[a-z-]+)", table))
    there = set(re.findall(r"(--[a-z-]+)", help_of_repose)) - {"--help"}
    assert told == there


def test_every_command_that_is_named_exists():
    assert set(re.findall(r"`?voltface (\w+)", TEXT)) - {"turns"} <= set(COMMANDS)


def test_the_settings_of_the_example_are_known(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(TEXT.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    settings = load_settings(path)
    assert settings != Settings()
    assert settings.source.camera_size == (1920, 1080)


def test_the_limits_are_those_of_the_path():
    limits = PoseLimits()
    assert f"yaw {limits.yaw:.0f}, pitch {limits.pitch:.0f}, roll {limits.roll:.0f}" in TEXT


def test_the_files_that_it_links_to_are_there():
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / name).exists(), name
    assert (ROOT / "voltface.sh").stat().st_mode & 0o100
