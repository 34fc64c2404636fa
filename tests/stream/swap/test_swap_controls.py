"""Keys, profiles and the checks of what a user sets."""

from dataclasses import replace

import pytest

from stream.errors import UserError
from stream.media.window import key_name
from stream.settings import load_settings, section_from_table
from stream.swap import controls
from stream.swap.options import CastRow, SwapSettings


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CONFIG", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("key", sorted(controls.KEYS))
def test_every_key_changes_its_setting_and_only_that(key):
    name, change = controls.KEYS[key]
    before = replace(SwapSettings(), **{name: 0.5}) if change else SwapSettings()
    after = controls.pressed(before, key)
    wanted = 0.5 + change if change else not getattr(before, name)
    assert getattr(after, name) == pytest.approx(wanted)
    assert replace(after, **{name: getattr(before, name)}) == before


def test_keys_stay_between_0_and_1():
    settings = SwapSettings(strength=0.95)
    for _ in range(3):
        settings = controls.pressed(settings, "2")
    assert settings.strength == 1.0
    for _ in range(20):
        settings = controls.pressed(settings, "1")
    assert settings.strength == 0.0


@pytest.mark.parametrize("key", sorted(controls.KEYS))
def test_the_preview_window_knows_every_key(key):
    assert key_name(ord(key)) == key


def test_other_keys_change_nothing():
    assert controls.pressed(SwapSettings(), "q") == SwapSettings()


def test_a_profile_comes_back_as_it_was_saved(folder):
    settings = SwapSettings(strength=0.7, keep_brows=True, sharpness=0.2, shape=0.1)
    path = controls.save_profile("stage 1", settings)
    assert path == folder / "swap" / "stage 1.toml"
    assert controls.known_profiles() == ["stage 1"]
    read = section_from_table(SwapSettings(), controls.read_profile("stage 1"), "profile")
    assert read == settings


def test_a_profile_that_is_absent_names_those_that_are_there(folder):
    controls.save_profile("evening", SwapSettings())
    with pytest.raises(UserError, match="evening"):
        controls.read_profile("morning")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 80])
def test_names_that_are_no_file_names_are_refused(folder, name):
    with pytest.raises(UserError, match="cannot name a profile"):
        controls.save_profile(name, SwapSettings())
    assert not list(folder.rglob("*.toml"))


@pytest.mark.parametrize(
    ("name", "value"), [("strength", 1.2), ("shape", -0.1), ("most_turned", 120.0)]
)
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=name):
        controls.checked(SwapSettings(**{name: value}))


def test_options_win_over_settings_only_where_they_are_given():
    settings = controls.given_settings(SwapSettings(shape=0.3), {"shape": None, "strength": 0.4})
    assert (settings.shape, settings.strength) == (0.3, 0.4)


def test_the_config_folder_is_where_the_user_says_or_the_systems_own(monkeypatch, tmp_path):
    monkeypatch.setenv("VOLTFACE_CONFIG", str(tmp_path))
    assert controls.config_folder() == tmp_path
    monkeypatch.delenv("VOLTFACE_CONFIG")
    own = controls.user_config_path("voltface", appauthor=False, roaming=True)
    assert controls.config_folder() == own


# --- The map in a settings file -----------------------------------------------------------


def test_a_settings_file_says_who_gets_whom(tmp_path):
    path = tmp_path / "voltface.toml"
    path.write_text(
        "[swap]\nshape = 0.2\n"
        '[[swap.map]]\nsource = "a.jpg"\nwho = "left"\n'
        '[[swap.map]]\nsource = "b.jpg"\nwho = 2\n'
    )
    settings = load_settings(path)
    assert settings.swap.shape == 0.2
    assert settings.swap.map == (CastRow("a.jpg", "left"), CastRow("b.jpg", 2))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('[[swap.map]]\nsorce = "a.jpg"', "source"),
        ('[[swap.map]]\nsource = "a.jpg"\nwho = 1.5', "text or a whole number"),
        ("[swap]\nmap = 3", "a list"),
        ("[swap]\nmap = [3]", "a section"),
    ],
)
def test_mistakes_in_the_map_are_named(tmp_path, line, words):
    path = tmp_path / "voltface.toml"
    path.write_text(line)
    with pytest.raises(UserError) as refused:
        load_settings(path)
    assert words in str(refused.value)
