"""The mesh swap from end to end, on the demo clip: NASA's astronaut on the rendered head."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stream
from engines.manifest import cache_folder
from stream.cli import run_command
from stream.cli_swap import _shape
from stream.errors import UserError
from stream.frame import Frame
from stream.governor import HIGH, LOW
from stream.media import StreamInfo, open_source, read_picture, write_picture
from stream.networks import Networks, NetworkSettings
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer
from stream.swap import swapper as swapper_module
from stream.swap.build import SwapBuilder, cast
from stream.swap.casting import Role
from stream.swap.options import CastRow, SwapSettings
from stream.swap.source import prepare_source
from stream.swap.swapper import Swapper

INFO = StreamInfo(width=640, height=480, fps=25.0)
CLIP = Path(stream.__file__).parent / "assets" / "demo.mp4"
FACE = CLIP.with_name("face.jpg")
with open_source(str(CLIP)) as opened_clip:
    FRAMES = [frame.pixels for frame in opened_clip if frame.index in (*range(5), 120)]
HEADS, ASTRONAUT = FRAMES[:5], FRAMES[5]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("swap") / "astronaut.png"
    write_picture(path, ASTRONAUT)
    return path


@pytest.fixture(scope="module")
def source(photo, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("VOLTFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
    assert cache_folder().exists()
    yield prepare_source([photo])
    patch.undo()


def opened(source, info=INFO, roles=None, **options):
    settings = replace(Settings(), swap=SwapSettings(**options))
    return Swapper(settings, info, StageTimer(), sources=[source], roles=roles or [Role(0)])


def shown(path, pictures=HEADS):
    return [
        path.process(Frame(pixels, index, index / 25), PoseRequest()).pixels
        for index, pixels in enumerate(pictures)
    ]


def test_the_face_changes_and_the_rest_of_the_frame_does_not(source):
    with opened(source) as path:
        frames = shown(path)
        (region, cover, _), engines = path.covers[0], path.engines
    before, after = HEADS[-1].astype(int), frames[-1].astype(int)
    change = np.abs(after - before).max(axis=2)
    assert np.median(region.crop(change)[cover > 200]) > 4
    outside = np.ones(change.shape, bool)
    margin = int(0.4 * max(region.width, region.height))
    outside[max(0, region.y0 - margin) : region.y1 + margin,
            max(0, region.x0 - margin) : region.x1 + margin] = False  # fmt: skip
    assert change[outside].max() == 0
    assert {"face_mesh", "head_segmentation", "face_3dmm"} <= set(engines)
    assert "hair_depth" not in engines


def test_skin_has_the_colour_of_the_frame(source):
    with opened(source) as path:
        frames = shown(path)
        region, cover, _ = path.covers[0]
    inside = cover > 250
    before, after = (region.crop(each)[inside].astype(float) for each in (HEADS[-1], frames[-1]))
    assert np.abs(after.mean(axis=0) - before.mean(axis=0)).max() < 12


def test_strength_0_and_frames_without_a_face_are_left_alone(source):
    blank = [np.full_like(HEADS[0], 90)] * 2
    with opened(source, strength=0.0) as path:
        assert all((a == b).all() for a, b in zip(shown(path), HEADS, strict=True))
    with opened(source) as path:
        assert all((a == b).all() for a, b in zip(shown(path, blank), blank, strict=True))
        assert path.last_faces == 0 and path.covers == []


def test_half_the_strength_is_about_half_the_change(source):
    changes = []
    for strength in (0.5, 1.0):
        with opened(source, strength=strength, shape=0.0, grain=0.0) as path:
            changes.append(np.abs(shown(path)[-1].astype(int) - HEADS[-1]).mean())
    assert changes[0] == pytest.approx(changes[1] / 2, rel=0.2)


def test_keys_take_effect_at_the_next_frame(source):
    with opened(source) as path:
        first = shown(path, HEADS[:1])[0]
        for _ in range(10):
            path.press("1")
        assert path.options.strength == 0.0
        assert (shown(path, HEADS[:1])[0] == HEADS[0]).all()
        assert (first != HEADS[0]).any()


def test_a_face_that_nobody_cast_stays_itself(source):
    with opened(source, roles=[Role(0, 2)]) as path:  # the second from the left; there is one
        assert all((a == b).all() for a, b in zip(shown(path), HEADS, strict=True))
        assert path.last_faces == 1


def test_a_face_turned_too_far_is_left_alone(source):
    with opened(source, most_turned=0.5) as path:
        assert all((a == b).all() for a, b in zip(shown(path), HEADS, strict=True))


def test_both_of_two_faces_are_swapped_where_all_are_asked_for(source):
    both = np.hstack([HEADS[0], ASTRONAUT])
    info = StreamInfo(width=1280, height=480, fps=25.0, still=True)
    settings = replace(Settings(), faces="all")
    with Swapper(settings, info, StageTimer(), sources=[source], roles=[Role(0)]) as path:
        out = path.process(Frame(both), PoseRequest()).pixels
        assert len(path.covers) == 2
    assert (out[:, :640] != HEADS[0]).any()
    assert (out[:, 640:] != ASTRONAUT).any()


def test_who_is_nearer_is_drawn_last_and_stays_before_the_others(source, monkeypatch):
    asked = []
    real = swapper_module.with_nearer
    monkeypatch.setattr(
        swapper_module,
        "with_nearer",
        lambda front, faces: asked.append(faces) or real(front, faces),
    )
    both = np.hstack([ASTRONAUT, HEADS[0]])
    info = StreamInfo(width=1280, height=480, fps=25.0, still=True)
    settings = replace(Settings(), faces="all")
    with Swapper(settings, info, StageTimer(), sources=[source], roles=[Role(0)]) as path:
        path.process(Frame(both), PoseRequest())
        far, near = (laid.region for laid in path.covers)
    assert near.height > far.height
    ((nearer,),) = asked
    assert near.x0 < nearer[:, 0].mean() < near.x1


def test_a_stage_that_fails_passes_the_frame_and_says_so_once(source, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("no light")

    monkeypatch.setattr(swapper_module, "covering", broken)
    with opened(source) as path, caplog.at_level(logging.ERROR, "voltface"):
        assert all((a == b).all() for a, b in zip(shown(path), HEADS, strict=True))
    assert len(caplog.records) == 1
    assert "no light" in caplog.text


def test_the_same_frames_give_the_same_pictures(source):
    runs = []
    for _ in range(2):
        with opened(source) as path:
            runs.append(shown(path))
    assert all((a == b).all() for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize(("quality", "most"), [(HIGH, 6), (LOW, 3)])
def test_at_low_quality_what_is_in_front_is_looked_for_less_often(
    source, monkeypatch, quality, most
):
    looks = []
    real = swapper_module.look_in_front
    monkeypatch.setattr(
        swapper_module, "look_in_front", lambda *given: looks.append(1) or real(*given)
    )
    with opened(source) as path:
        path.quality = quality
        shown(path)
    assert most - 2 < len(looks) <= most


# --- Sources and roles --------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks(source):
    with Networks(NetworkSettings(hair_depth=False, refine=False)) as opened_networks:
        yield opened_networks


def test_rows_and_photos_become_sources_and_roles(photo, networks):
    rows = [CastRow(f"{photo}; {photo}", "right"), CastRow(str(photo), 2), CastRow(str(photo), "1")]
    sources, roles = cast([str(photo)], rows, "auto", networks)
    assert [role.place for role in roles] == [-1, 2, 1, None]
    assert [role.source for role in roles] == [0, 1, 2, 3]
    assert len(sources[0].names) == 2
    assert roles[3].for_anyone


def test_a_row_may_name_a_picture_of_the_person(photo, networks):
    _, roles = cast([], [CastRow(str(photo), str(photo))], "auto", networks)
    assert roles[0].like is not None and not roles[0].for_anyone


@pytest.mark.parametrize(
    ("rows", "words"),
    [([CastRow("", "left")], "no source"), ([CastRow("a.jpg", 0)], "counted from the left")],
)
def test_rows_that_make_no_sense_are_refused(rows, words, networks):
    with pytest.raises(UserError) as refused:
        cast([], rows, "auto", networks)
    assert words in str(refused.value)


def test_without_any_source_there_is_nothing_to_swap():
    with pytest.raises(UserError, match="--source"):
        SwapBuilder([])


# --- The command --------------------------------------------------------------------------


def voltface(*arguments):
    command = [sys.executable, "-m", "stream", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_the_command_swaps_a_picture_and_saves_a_profile(photo, source, tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CONFIG", str(tmp_path / "config"))
    out = tmp_path / "out.png"
    picture = tmp_path / "in.png"
    write_picture(picture, HEADS[0])
    asked = ("--source", photo, "--shape", "target", "--strength", "0.9", "--save-profile", "a")
    result = voltface("swap", picture, out, *asked)
    assert result.returncode == 0, result.stderr
    pixels, _ = read_picture(out)
    assert pixels.shape == HEADS[0].shape
    assert np.abs(pixels.astype(int) - HEADS[0]).max() > 20
    saved = (tmp_path / "config" / "swap" / "a.toml").read_text()
    assert "shape = 0.0" in saved and "strength = 0.9" in saved


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "source"),
        (("--source", "absent.jpg"), "absent.jpg"),
        (("--source", FACE, "--shape", "round"), "--shape"),
        (("--source", FACE, "--strength", "2"), "strength"),
        (("--source", FACE, "--profile", "nobody"), "nobody"),
        (("--source", FACE, "--method", "affine", "--keep-brows"), "affine"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(arguments, word, tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CONFIG", str(tmp_path))
    with pytest.raises(UserError) as refused:
        run_command(["swap", str(CLIP), str(tmp_path / "out.mp4"), *map(str, arguments)])
    assert word in str(refused.value)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(("word", "share"), [("source", 1.0), ("target", 0.0), ("0.3", 0.3)])
def test_shapes_have_names(word, share):
    assert _shape(word) == share
