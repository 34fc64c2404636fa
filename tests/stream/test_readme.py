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


def help_options(command: str) -> set[str]:
    arguments = [sys.executable, "-m", "stream", command, "--help"]
    told = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(--[a-z][a-z-]+)", told)) - {"--help"}


def table_options(heading: str) -> set[str]:
    section = TEXT.split(f"### Of {heading}\n")[1]
    rows = re.split(r"\n\n(?!\|)", section)[0]
    return {option for row in rows.splitlines() for option in _named(row)}


def _named(row: str) -> list[str]:
    return re.findall(r"`(--[a-z-]+)", row.split("|")[1]) if row.startswith("|") else []


@pytest.fixture(scope="module")
def common() -> set[str]:
    return table_options("every command")


@pytest.mark.parametrize("command", ["repose", "swap"])
def test_every_option_of_a_table_exists_and_none_is_forgotten(command, common):
    assert table_options(f"`{command}`") | common == help_options(command)


def test_the_options_of_the_other_commands_are_all_told(common):
    told = table_options("`puppet`, `reconstruct` and `flatten`") | common
    there = set().union(*map(help_options, ("puppet", "reconstruct", "flatten")))
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
