"""Settings: defaults, TOML, options on top, and what wrong files say."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from stream.errors import UserError
from stream.settings import Settings, load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_without_a_file():
    assert load_settings(None) == Settings()


def test_file_then_options_win(tmp_path):
    path = write(
        tmp_path, 'quality = "low"\nfaces = "all"\nseed = 3\n[limits]\nyaw = 25\n[governor]\n'
    )
    settings = load_settings(path, quality="high", seed=None)
    assert settings.quality == "high"
    assert settings.faces == "all"
    assert settings.seed == 3
    assert settings.limits.yaw == 25.0
    assert isinstance(settings.limits.yaw, float)
    assert settings.limits.pitch == Settings().limits.pitch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('qualty = "low"', 'Did you mean "quality"?'),
        ("[limits]\nyaww = 2", 'Did you mean "yaw"?'),
        ("zzz = 1", "Known here: engine, faces"),
        ('quality = "medium"', "one of auto, low, high"),
        ('seed = "1"', "a whole number"),
        ("seed = true", "a whole number"),
        ('[limits]\nyaw = "wide"', "a number"),
        ("limits = 3", "a section"),
        ("[source]\ncamera_size = [640]", "a list of 2 values"),
        ("[source]\ncamera_size = [640, 0.5]", "a whole number"),
        ("[fit.turn]\nmincutoff = 1", 'Did you mean "min_cutoff"?'),
        ("quality = ", "it is not TOML"),
    ],
)
def test_wrong_files_are_refused(tmp_path, text, said):
    with pytest.raises(UserError) as caught:
        load_settings(write(tmp_path, text))
    assert said in str(caught.value)
    assert "settings" in str(caught.value)


def test_sections_in_sections_and_lists(tmp_path):
    path = write(tmp_path, "[fit.turn]\nmin_cutoff = 0.5\n[source]\ncamera_size = [640, 480]\n")
    settings = load_settings(path)
    assert settings.fit.turn.min_cutoff == 0.5
    assert settings.fit.turn.beta == Settings().fit.turn.beta
    assert settings.source.camera_size == (640, 480)


def test_a_seed_lets_nothing_run_beside_the_frames(tmp_path):
    assert load_settings(None).plate.completion == "beside"
    assert load_settings(None, seed=0).plate.completion == "inline"
    off = write(tmp_path, 'seed = 1\n[plate]\ncompletion = "off"\n')
    assert load_settings(off).plate.completion == "off"


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.toml"):
        load_settings(tmp_path / "nowhere.toml")


def test_every_section_has_defaults_and_can_be_set_empty(tmp_path):
    defaults = Settings()
    names = [item.name for item in fields(Settings)]
    sections = [name for name in names if is_dataclass(getattr(defaults, name))]
    assert "governor" in sections
    text = "\n".join(f"[{name}]" for name in sections)
    assert load_settings(write(tmp_path, text)) == Settings()


@pytest.mark.parametrize(
    "line",
    [
        "sink.queue_frames = 0",  # nothing would ever pass
        "source.queue_frames = -1",
        "sink.quality = 999",
        "sink.still_s = nan",
        "source.timeout_s = inf",
        "source.camera_size = [0, 720]",
        "hair_network.every = 0",
        "limits.yaw = -5",
        "fit.turn.min_cutoff = 0",
        "plate.rest_frames = -1",
    ],
)
def test_numbers_without_sense_are_refused(tmp_path, line):
    with pytest.raises(UserError, match="wants a number"):
        load_settings(write(tmp_path, line))


def test_a_seed_is_any_whole_number(tmp_path):
    assert load_settings(write(tmp_path, "seed = -3")).seed == -3
