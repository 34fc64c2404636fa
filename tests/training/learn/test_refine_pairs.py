import cv2
import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.frame import Frame
from stream.governor import HIGH
from stream.pipeline import STILL_SAMPLES
from stream.plate_canvas import PIECED
from stream.pose import PoseRequest
from stream.refine import SIZE
from tests.stream.videos import clip_frames
from training.learn import refine_pairs
from training.learn.prepared import open_set
from training.learn.refine_pairs import (
    SYNTHETIC,
    TURNED,
    CoarsePath,
    Look,
    SetWriter,
    View,
    drawn_look,
    pairs_of,
    tracked,
)


def textured(seed):
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 200, (32, 32, 3), np.uint8)
    return cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def test_a_set_can_be_opened_once_it_is_closed(tmp_path):
    writer = SetWriter(tmp_path, 5)
    picture = textured(2)
    masks = np.dstack([picture, picture[..., 0]])
    writer.add(SYNTHETIC, picture, masks, textured(6), textured(3))
    assert not (tmp_path / "set.json").exists()
    writer.close({"seed": 4})
    writer.add(TURNED, textured(4), masks, textured(6), picture)
    assert open_set(tmp_path).count == 1
    writer.close({"seed": 4})
    data = open_set(tmp_path)
    assert (data.count, data.size, data.recipe["seed"]) == (2, SIZE, 4)
    np.testing.assert_array_equal(data["coarse"][0], picture)
    np.testing.assert_array_equal(data["truth"][1], picture)
    np.testing.assert_array_equal(data["masks"][1], masks)
    np.testing.assert_array_equal(data["guesses"][1], textured(6))
    assert data["kind"][:2].tolist() == [SYNTHETIC, TURNED]


@pytest.fixture(scope="module")
def path():
    pixels = clip_frames(1)[0]
    with CoarsePath((pixels.shape[1], pixels.shape[0])) as coarse_path:
        yield coarse_path, pixels


def test_the_live_path_turns_a_frame_and_tells_what_it_knows(path):
    coarse_path, pixels = path
    coarse_path.forget(Look.RUNNING)
    coarse = coarse_path.turned(pixels, None, PoseRequest(yaw=25))
    height, width = coarse.region.height, coarse.region.width
    assert coarse.drawn.shape == coarse.before.shape == (height, width, 3)
    np.testing.assert_array_equal(coarse.before, coarse.region.crop(pixels))
    assert np.abs(coarse.drawn.astype(int) - coarse.before).mean() > 3
    cover, doubt, unknown, rest = np.moveaxis(coarse.masks.astype(int), -1, 0)
    assert 0.2 < (cover > 127).mean() < 0.9
    assert (doubt > 127).mean() > 0.01
    assert (unknown > 127).mean() > 0.01
    assert (cover + unknown + rest <= 256).all()
    guess, far, hidden = np.moveaxis(coarse.guesses.astype(int), -1, 0)
    # All that the live path calls a guess is among them; a part of hidden skin is the rest.
    assert (guess + 0.3 * hidden - doubt).min() > -20
    assert (guess + far + hidden <= cover + 3).all()
    assert (far > 127).any()


def test_pictures_and_streams_are_drawn_as_the_live_path_draws_them(path):
    coarse_path, pixels = path
    drawn, fills = {}, {}
    for look in Look:
        coarse_path.forget(look)
        coarse = coarse_path.turned(pixels, None, PoseRequest(yaw=25))
        fills[look] = set(np.unique(coarse_path.unseen(coarse.region, (64, 64)))) - {0}
        drawn[look] = coarse.drawn
        nodes = max(coarse_path._keeping._drawn.mesh.sheets[0].depth_mm.shape)
        assert nodes == (128 if look is Look.PICTURE else HIGH.nodes)
        assert coarse_path._keeping._samples == (STILL_SAMPLES if look is Look.PICTURE else 0)
    assert fills == {Look.PICTURE: {PIECED}, Look.BEGUN: {255}, Look.RUNNING: {PIECED}}
    assert np.abs(drawn[Look.BEGUN].astype(int) - drawn[Look.RUNNING]).max() > 10


def test_half_of_the_frames_are_pictures():
    rng = np.random.default_rng(0)
    looks = [drawn_look(rng) for _ in range(400)]
    assert 0.4 < looks.count(Look.PICTURE) / 400 < 0.6
    assert set(looks) == set(Look)


def test_an_empty_frame_gives_nothing():
    with CoarsePath((320, 240)) as path:
        nobody = np.full((240, 320, 3), 90, np.uint8)
        assert path.turned(nobody, None, PoseRequest(yaw=25)) is None


def test_views_of_a_person_are_turned_to_each_other(monkeypatch):
    for limit in ("_MOST_ERROR", "_MOST_WRONG"):  # which pairs are good is not asked here
        monkeypatch.setattr(refine_pairs, limit, 255.0)
    pixels = clip_frames(1)[0]
    with CoarsePath((pixels.shape[1], pixels.shape[0])) as coarse_path:
        points = coarse_path._heads.track(Frame(pixels))[0].points_px
        alpha = np.full(pixels.shape[:2], 255, np.uint8)

        def view(yaw_deg):
            pose = np.eye(4)
            pose[:3, :3] = cv2.Rodrigues(np.array([0, np.radians(yaw_deg), 0]))[0]
            return View(pixels, alpha, points, pose, yaw_deg)

        rng = np.random.default_rng(0)
        assert list(pairs_of(coarse_path, [view(0), view(2)], rng)) == []  # too near to each other
        assert list(pairs_of(coarse_path, [view(0), view(60)], rng)) == []  # too far
        found = list(pairs_of(coarse_path, [view(0), view(15)], rng))
        assert len(found) == 2
        for picture, masks, guesses, truth in found:
            assert picture.shape == guesses.shape == truth.shape == (SIZE, SIZE, 3)
            assert masks.shape == (SIZE, SIZE, 4)
            # Both views are the same picture here, so that little is to be turned.
            assert np.abs(picture.astype(int) - truth).mean() < 12


def test_tracked_points_are_a_little_off():
    points = np.random.default_rng(0).uniform(50, 300, (478, 3))
    faces = [tracked(points, 384, np.random.default_rng(seed), 3) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(faces[0].points_px, faces[1].points_px)
    assert faces[0].id == 3
    for face in faces:
        off = np.linalg.norm((face.points_px - points)[:, :2], axis=1)
        assert 0.3 < off.mean() < 4
        assert off.max() < 12
