"""OpenVINO and MediaPipe's own graph see the same in a crop; each runs where it should."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import EngineAbsentError
from engines.mediapipe_openvino import MediaPipeOnOpenVino
from stream import mesh_network
from stream.demo import CLIP
from stream.face_mesh import FaceNet, Roi, crop_roi
from stream.media import open_source, read_picture
from stream.mediapipe_graph import MEDIAPIPE
from stream.mesh_network import GraphMesh, OpenVinoMesh, open_mesh_network
from stream.track import FaceTracker

FACE = Path(mesh_network.__file__).parent / "assets" / "face.jpg"
TOLERANCE_PX = 0.01  # of a crop's 192; the worst seen in 300 crops is 0.0002


@pytest.fixture(scope="module")
def graph():
    with GraphMesh() as network:
        yield network


@pytest.fixture(scope="module")
def openvino():
    pytest.importorskip("openvino")
    with open_mesh_network() as network:
        assert isinstance(network, OpenVinoMesh)
        yield network


@pytest.fixture(scope="module")
def detectors():
    with FaceNet(still=True) as net:
        yield net


@pytest.fixture(scope="module")
def face(detectors):
    """The picture that voltface brings, and where its face is."""
    pixels, _ = read_picture(FACE)
    return pixels, detectors.detect(pixels, far=False)[0]


def assert_same(seen, expected):
    """Compare what two networks say of a crop."""
    assert (seen is None) == (expected is None)
    if expected is not None:
        assert np.abs(seen[0] - expected[0]).max() < TOLERANCE_PX
        assert seen[1] == pytest.approx(expected[1], abs=1e-3)
        assert seen[0].shape == (478, 3)
        assert seen[0].dtype == np.float32


@pytest.mark.parametrize("angle", [0.0, 0.2, -0.4, 2.0])
@pytest.mark.parametrize("size", [0.8, 1.0, 1.2])
def test_points_are_those_of_mediapipe_in_a_turned_region(graph, openvino, face, angle, size):
    pixels, roi = face
    crop = crop_roi(pixels, Roi(roi.x, roi.y, size * roi.side, roi.angle + angle))
    expected = graph(crop)
    if abs(angle) < 0.5:
        assert expected is not None
    assert_same(openvino(crop), expected)


@pytest.mark.parametrize("away", [(0.3, 0.0), (-0.3, 0.0), (0.0, 0.3), (0.0, -0.3), (0.2, 0.2)])
def test_points_are_those_of_mediapipe_where_the_crop_ends_in_the_face(graph, openvino, face, away):
    pixels, roi = face
    moved = Roi(roi.x + away[0] * roi.side, roi.y + away[1] * roi.side, roi.side, roi.angle)
    crop = crop_roi(pixels, moved)
    assert_same(openvino(crop), graph(crop))


def test_points_are_those_of_mediapipe_where_a_face_is_half_out_of_the_picture(
    graph, openvino, face
):
    pixels, roi = face
    half = pixels[:, int(roi.x) :]
    crop = crop_roi(half, Roi(roi.x - int(roi.x), roi.y, roi.side, roi.angle))
    assert_same(openvino(crop), graph(crop))


def test_points_are_those_of_mediapipe_throughout_a_clip(graph, openvino, detectors):
    compared = 0
    with open_source(str(CLIP)) as source:
        for index, frame in enumerate(source):
            if index % 10:
                continue
            for roi in detectors.detect(frame.pixels, far=False):
                crop = crop_roi(frame.pixels, roi)
                expected = graph(crop)
                assert_same(openvino(crop), expected)
                compared += expected is not None
    assert compared > 5


def test_points_are_those_of_mediapipe_on_portraits(graph, openvino, detectors, data_dir):
    compared = 0
    for path in sorted((data_dir / "dev_portraits").glob("*.jpg")):
        pixels, _ = read_picture(path)
        for roi in detectors.detect(pixels, far=False):
            crop = crop_roi(pixels, roi)
            expected = graph(crop)
            assert_same(openvino(crop), expected)
            compared += expected is not None
    assert compared >= 4


def test_where_there_is_no_face_both_see_none(graph, openvino):
    noise = np.random.default_rng(1).integers(0, 256, (192, 192, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 9)
    for crop in (np.full((192, 192, 3), 128, np.uint8), noise, blurred):
        assert graph(crop) is None
        assert openvino(crop) is None


def test_a_face_that_fades_is_lost_at_the_same_moment(graph, openvino, face):
    pixels, roi = face
    crop = crop_roi(pixels, roi).astype(np.float32)
    noise = np.random.default_rng(2).uniform(0, 255, crop.shape).astype(np.float32)

    def faded(share):
        return ((1 - share) * crop + share * noise).astype(np.uint8)

    seen, lost = 0.0, 1.0
    for _ in range(14):  # both steps are next to the threshold then
        middle = (seen + lost) / 2
        seen, lost = (seen, middle) if graph(faded(middle)) is None else (middle, lost)
        assert_same(openvino(faded(middle)), graph(faded(middle)))
    assert openvino(faded(seen)) is not None
    assert openvino(faded(lost)) is None
    assert openvino(faded(seen))[1] < 0.52


def test_a_named_engine_that_is_another_leaves_it_to_mediapipe():
    with open_mesh_network("onnxruntime") as network:
        assert network.as_stats == MEDIAPIPE


def test_single_pictures_are_left_to_mediapipe():
    with FaceTracker(still=True) as tracker:
        assert tracker.as_stats == {"face_mesh": MEDIAPIPE}


@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_videos_are_openvino_s_and_closing_twice_does_no_harm(engine):
    pytest.importorskip("openvino")
    with FaceTracker(engine=engine) as tracker:
        ran = tracker.as_stats["face_mesh"]
    tracker.close()
    assert (ran["backend"], ran["precision"]) == ("openvino", "fp32")
    assert ran["device"] not in ("", "cpu")


def test_where_openvino_fails_mediapipe_runs_it_and_that_is_said_once(monkeypatch, caplog, face):
    pytest.importorskip("openvino")

    def broken(*_args):
        raise RuntimeError("no instructions for that")

    monkeypatch.setattr(MediaPipeOnOpenVino, "open", broken)
    mesh_network._warn_once.cache_clear()
    pixels, roi = face
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with FaceNet() as net:
                assert net.as_stats == {"face_mesh": MEDIAPIPE}
                assert net.mesh(pixels, roi) is not None
    said = [line for line in caplog.messages if "MediaPipe runs its face mesh" in line]
    assert len(said) == 1
    assert "no instructions for that" in said[0]


def test_where_openvino_is_absent_nothing_is_said(monkeypatch, caplog):
    def absent(*_args):
        raise EngineAbsentError("no openvino", "it is not installed", "install it")

    monkeypatch.setattr(mesh_network, "open_face_mesh", absent)
    with caplog.at_level(logging.WARNING), open_mesh_network() as network:
        assert network.as_stats == MEDIAPIPE
    assert not caplog.messages
