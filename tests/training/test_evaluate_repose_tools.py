"""The measuring tools run whole, over a stand-in for the live path."""

import logging
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Frame
from stream.pose import PoseRequest
from training.evaluate_repose import angles, faces, likeness, media, program, seam, sheet


@pytest.fixture
def portrait(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setenv("VOLTFACE_DATA", str(data_dir))
    faces.canonical_face.cache_clear()
    large = media.read_picture(data_dir / "mediapipe_ref" / "portrait.jpg")
    return cv2.resize(large, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


class Slider:
    """Stands in for the live path: slides the picture to the right, one pixel for 1° of yaw."""

    def __init__(self, *_: object) -> None:
        self.processed = 0

    def __enter__(self) -> "Slider":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def process(self, frame: Frame, request: PoseRequest) -> Frame:
        self.processed += 1
        if request.roll:
            logging.getLogger("voltface").error("a frame passes unchanged: no roll here")
        return Frame(np.roll(frame.pixels, round(request.yaw), axis=1), frame.index)


@pytest.fixture
def slider(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = types.ModuleType("stream.pipeline")
    stand_in.Reposer = Slider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stream.pipeline", stand_in)


@pytest.mark.usefixtures("slider")
def test_frames_pass_the_path_in_order() -> None:
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (1, 2, 3)]
    out = program.repose_frames(frames, yaw=4.0)
    assert [int(f[0, 0, 0]) for f in out] == [1, 2, 3]


@pytest.mark.usefixtures("slider")
def test_failing_stage_is_no_measurement() -> None:
    with pytest.raises(UserError, match="no roll here"):
        program.repose_frames([np.zeros((8, 8, 3), np.uint8)], roll=5.0)


@pytest.mark.usefixtures("slider")
def test_sheet_shows_every_angle_and_the_input(portrait: np.ndarray) -> None:
    rows = sheet.angle_rows([portrait], 0, 25.0, yaws=(-10, 0, 10), pitches=(-5, 5))
    assert [len(row) for row in rows] == [3, 3]
    assert rows[0][0].shape == rows[1][0].shape
    assert rows[0][0].shape[0] > 100


@pytest.mark.usefixtures("slider")
def test_sliding_is_no_turn(portrait: np.ndarray) -> None:
    change = angles.turns([portrait], 0, "yaw", 20.0)
    assert change is not None
    assert abs(change["depth"][0]) < 2.0, "20 pixels to the side are not 20 degrees"


@pytest.mark.usefixtures("slider")
def test_seam_tool_prints_both_tables(
    portrait: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mkv"
    media.write_clip(clip, [portrait] * 2)
    seam.run((clip,), frame=1)
    said = capsys.readouterr().out
    assert "yaw -30" in said
    assert "| clip.mkv | 99 | 99 | 0 |" in said, "0.01° slides by no pixel"


def test_likeness_is_the_cosine_to_the_first() -> None:
    described = np.array([[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(likeness.likeness(described), [1, 0, -1], atol=1e-12)


def test_turned_pictures_are_compared_with_their_own(
    portrait: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "face.png"
    media.write_picture(path, portrait)
    nobody = np.zeros_like(portrait)
    monkeypatch.setattr(likeness, "turned", lambda *_: [portrait[:, ::-1].copy(), nobody])
    monkeypatch.setattr(
        likeness, "descriptors", lambda pictures, boxes, _: np.array([[1.0, 0.0], [0.6, 0.8]])
    )
    row = likeness.picture_row(path, (-15.0, 30.0), None)
    assert row["-15°"] == pytest.approx(0.6)
    assert row["+30°"] is None  # no face is found any more
    monkeypatch.setattr(likeness, "descriptors", lambda *_: None)
    with pytest.raises(UserError, match="dlib"):
        likeness.picture_row(path, (-15.0, 30.0), None)
    media.write_picture(path, nobody)
    with pytest.raises(UserError, match="no face"):
        likeness.picture_row(path, (-15.0, 30.0), None)
