"""The measuring tools measure what they say."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.geometry import (
    angles_from_rotation,
    pinhole_camera,
    project,
    rotation_from_angles,
)
from stream.region import NodeGrid, Region
from stream.settings import load_settings
from training.evaluate_repose import (
    angles,
    baselines,
    crossframe,
    depth,
    faces,
    media,
    program,
    report,
    seam,
    sheet,
    still,
    view,
)

if TYPE_CHECKING:
    from stream.hair_depth import HeadDepth

RNG = np.random.default_rng(5)


def smooth_picture(size: int = 160) -> np.ndarray:
    noise = RNG.uniform(0, 255, (size // 16, size // 16, 3)).astype(np.float32)
    wide = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return wide.clip(0, 255).astype(np.uint8)


@pytest.fixture
def canonical(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setenv("VOLTFACE_DATA", str(data_dir))
    faces.canonical_face.cache_clear()
    return faces.canonical_face()


@pytest.fixture
def portrait(data_dir: Path) -> np.ndarray:
    large = media.read_picture(data_dir / "mediapipe_ref" / "portrait.jpg")
    return cv2.resize(large, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


# Baselines


def test_similarity_is_found_exactly() -> None:
    points = RNG.normal(size=(40, 3))
    rotation = rotation_from_angles(20, -10, 5)
    target = 1.7 * points @ rotation.T + [3, -2, 9]
    found = baselines.similarity_from_points(points, target)
    assert found[:, :3] == pytest.approx(1.7 * rotation)
    assert found[:, 3] == pytest.approx([3, -2, 9])


def test_similarity_never_mirrors() -> None:
    points = RNG.normal(size=(40, 3))
    found = baselines.similarity_from_points(points, points * [-1, 1, 1])
    assert np.linalg.det(found[:, :3]) > 0


def test_thin_plate_of_an_affine_map_is_that_map() -> None:
    picture = smooth_picture()
    matrix = np.array([[0.95, 0.12, 6.0], [-0.08, 1.05, -4.0]])
    source = RNG.uniform(20, 140, (60, 2))
    moved = np.column_stack([source, np.ones(60)]) @ matrix.T
    out = baselines.warp_by_points(picture, source, moved)
    # warpAffine counts pixel centres at 0, the points at +0.5.
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    at_zero = np.linalg.inv(shift) @ np.vstack([matrix, [0, 0, 1]]) @ shift
    expected = cv2.warpAffine(picture, at_zero[:2], (160, 160), borderMode=cv2.BORDER_REPLICATE)
    inner = np.s_[16:-16, 16:-16]
    # 1.2 levels on average is what two bilinear resamplers differ by here.
    assert np.abs(out[inner].astype(float) - expected[inner]).mean() < 1.2


def test_point_behind_a_fold_counts_as_hidden() -> None:
    x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    plane = np.column_stack([x.ravel(), y.ravel(), np.zeros(100)])
    behind = np.array([[4.4, 4.6, 30.0]])
    seen = baselines.visible(np.vstack([plane, behind]))
    assert seen[:100].all()
    assert not seen[100]


# Scores


def test_identical_pictures_score_best() -> None:
    picture = smooth_picture()
    assert media.psnr(picture, picture) == 99.0
    assert view.ssim_map(picture, picture) == pytest.approx(1.0)


def test_psnr_of_a_known_error() -> None:
    picture = np.full((8, 8, 3), 100, np.uint8)
    assert media.psnr(picture, picture + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    mask = np.zeros((8, 8), bool)
    assert np.isnan(media.psnr(picture, picture, mask))


def test_crossframe_score_of_the_goal_itself(portrait: np.ndarray) -> None:
    try:
        found = crossframe.score(portrait, portrait)
    except UserError as error:
        pytest.skip(str(error))
    assert found["ssim"] == pytest.approx(1.0)
    assert found["nme"] == pytest.approx(0.0, abs=1e-6)
    assert found["iou"] == pytest.approx(1.0)


def test_missing_output_scores_nothing() -> None:
    assert all(np.isnan(v) for v in crossframe.score(None, smooth_picture()).values())


def test_absent_eval_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOLTFACE_EVAL", str(tmp_path))
    faces.crossframe_module.cache_clear()
    with pytest.raises(UserError, match="VOLTFACE_EVAL"):
        faces.crossframe_module()
    faces.crossframe_module.cache_clear()


def test_depth_error_ignores_scale_and_shift() -> None:
    truth = RNG.uniform(500, 700, (20, 20))
    everywhere = np.ones((20, 20), bool)
    assert depth.depth_error(truth * 0.3 + 7, truth, everywhere, everywhere) < 1e-9


def test_depth_error_is_a_share_of_the_range() -> None:
    truth = np.tile(np.linspace(0, 100, 101), (20, 1))
    wrong = truth + np.where(np.arange(20)[:, None] % 2, 2.0, -2.0)
    everywhere = np.ones(truth.shape, bool)
    # The range is taken between the 1st and 99th percentile: 98 here.
    assert depth.depth_error(wrong, truth, everywhere, everywhere) == pytest.approx(
        2 / 98 * 100, rel=0.02
    )
    assert np.isnan(depth.depth_error(wrong * np.nan, truth, everywhere, everywhere))


def test_relief_is_told_apart_from_distance() -> None:
    truth = np.linspace(600, 700, 100).reshape(10, 10)
    everywhere = np.ones(truth.shape, bool)
    assert depth.relief(truth * 2, truth, everywhere) == pytest.approx(1.0)
    assert depth.relief(650 + 1.3 * (truth - 650), truth, everywhere) == pytest.approx(1.3)


def test_depth_at_nodes_comes_to_the_pixels() -> None:
    grid = NodeGrid.over(Region(10, 20, 50, 60), 21)
    slope = grid.positions_px[..., 0] * 2 + grid.positions_px[..., 1]
    estimated = cast("HeadDepth", SimpleNamespace(grid=grid, front_mm=slope))
    found = depth.at_pixels(estimated, (80, 70))
    assert found[40, 30] == pytest.approx(2 * 30.5 + 40.5, abs=0.02)
    assert np.isnan(found[5, 5])


# Temporal noise


def tracks(noise: float, frames: int = 60, drift: float = 0.0) -> np.ndarray:
    points = RNG.uniform(0, 100, (478, 3))
    points[33, :2], points[263, :2] = (20, 50), (120, 50)  # inter-ocular distance 100
    moved = points + RNG.normal(0, noise, (frames, 478, 3))
    return moved + drift * np.linspace(0, 1, frames)[:, None, None]


def test_jitter_grows_with_the_noise() -> None:
    one, two = still.motion_of(tracks(0.5)), still.motion_of(tracks(1.0))
    assert two.jitter / one.jitter == pytest.approx(2, rel=0.05)
    assert two.rigid_jitter / one.rigid_jitter == pytest.approx(2, rel=0.15)
    # Of white noise of 0.5 px in x and y, the filter leaves most: √2 · 0.5 · about 0.85.
    assert 0.5 < one.jitter < 0.72


def test_slow_motion_is_movement_but_no_jitter() -> None:
    still_head, moving = still.motion_of(tracks(0.2)), still.motion_of(tracks(0.2, drift=20.0))
    assert moving.jitter < 1.5 * still_head.jitter
    assert moving.movement > 10 * still_head.movement


def test_stillest_window_is_found() -> None:
    quiet, loud = tracks(0.1, 30), tracks(3.0, 30)
    assert still.stillest_window(np.concatenate([loud, quiet, loud]), 30) == 30


def test_window_without_a_face_is_refused() -> None:
    with pytest.raises(UserError, match="No window"):
        still.stillest_window(np.full((10, 478, 3), np.nan), 5)


def test_flicker_of_alternating_frames() -> None:
    dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (100, 106))
    mask = np.ones((4, 4), bool)
    assert still.flicker([dark, light, dark], mask) == pytest.approx(6)
    assert np.isnan(still.flicker([dark, light], ~mask))


# Seams


def test_border_surrounds_the_change() -> None:
    changed = np.zeros((60, 60), bool)
    changed[20:40, 20:40] = True
    band = seam.boundary(changed)
    assert band[20, 30]
    assert not band[30, 30]
    assert not band[5, 5]


def test_mask_grows_by_a_distance() -> None:
    mask = np.zeros((41, 41), bool)
    mask[20, 20] = True
    wide = faces.grown(mask, 8)
    assert wide[20, 28]
    assert not wide[20, 30]
    assert not faces.grown(np.zeros((5, 5), bool), 3).any()


def test_hard_edge_is_steeper_than_a_soft_one() -> None:
    column = np.arange(60)
    hard = np.where(column < 30, 0, 80)
    soft = np.interp(column, [20, 40], [0, 80])
    pictures = [np.dstack([np.tile(v, (20, 1))] * 3).astype(np.uint8) for v in (hard, soft)]
    steepest = [float(seam.steepness(p).max()) for p in pictures]
    assert steepest[0] == pytest.approx(40, rel=0.01)
    assert steepest[1] == pytest.approx(4, rel=0.3)


def test_change_far_from_the_head_is_seen(portrait: np.ndarray) -> None:
    points = faces.face_points(portrait)
    assert points is not None
    spoiled = portrait.copy()
    spoiled[:4, :4] += 20
    untouched = seam.compare(portrait, portrait, points)
    assert untouched["far worst"] == 0
    assert seam.compare(portrait, spoiled, points)["far worst"] == 20
    assert seam.identity_row("same", portrait, portrait, points)["PSNR head"] == 99.0


# Angles


@pytest.mark.parametrize(
    ("asked", "got", "expected"),
    [((-10, 10), (-9, 9), 0.9), ((20, 10), (20, float("nan")), 1.0), ((5, -5), (0, 0), 0.0)],
)
def test_gain(asked: tuple[float, ...], got: tuple[float, ...], expected: float) -> None:
    assert faces.gain(asked, got) == pytest.approx(expected)


def test_gain_is_corrected_by_what_the_measure_sees_of_a_true_turn() -> None:
    row: dict[str, report.Value] = {"axis": "pitch", "requested": 10.0}
    row |= {f"{axis} ({method})": 0.0 for axis in faces.AXES for method in faces.METHODS}
    row["pitch (depth)"] = 8.0
    line = angles.gain_rows([row], {("pitch", "depth"): 0.8})[1]
    assert line["gain (depth)"] == pytest.approx(0.8)
    assert line["corrected (depth)"] == pytest.approx(1.0)


@pytest.mark.parametrize("wanted", [(0, 0, 0), (25, 0, 0), (-15, 12, 0), (5, -10, 20)])
def test_pose_of_the_canonical_face_is_recovered(
    canonical: np.ndarray, wanted: tuple[float, float, float]
) -> None:
    size = (640, 480)
    camera_space = canonical @ rotation_from_angles(*wanted).T + [0, 0, 60]
    points = np.column_stack([project(camera_space, pinhole_camera(*size)), camera_space[:, 2]])
    found = angles_from_rotation(faces.rotation_by_pnp(points, size))
    assert found == pytest.approx(wanted, abs=0.01)
    orthographic = canonical @ rotation_from_angles(*wanted).T * 12 + [320, 240, 0]
    found = angles_from_rotation(faces.rotation_by_procrustes(orthographic))
    assert found == pytest.approx(wanted, abs=0.01)


# Running, reading, writing


def test_failing_command_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no_such_module_of_voltface"):
        program.run_module(["no_such_module_of_voltface"], tmp_path / "stats.json")


def test_cost_of_a_command_is_measured(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    (tmp_path / "tiny.json").write_text('{"a": 1}')
    arguments = ["json.tool", str(tmp_path / "tiny.json"), str(target)]
    ran = program.run_module(arguments, target)
    assert ran.stats == {"a": 1}
    if hasattr(os, "wait4"):
        assert ran.peak_mb is not None
        import resource

        # Until the new program begins, the child is as large as this one.
        own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        assert 3 < ran.peak_mb < 2000 + own_mb


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux binds to cores")
def test_binding_to_cores_ends_with_the_block() -> None:
    before = os.sched_getaffinity(0)
    with program.pinned(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
    with pytest.raises(UserError, match="cores"), program.pinned(10_000):
        pass


def test_clip_survives_writing_without_loss(tmp_path: Path) -> None:
    frames = [smooth_picture(64) for _ in range(3)]
    media.write_clip(tmp_path / "clip.mkv", frames, 25)
    found = media.read_clip(tmp_path / "clip.mkv")
    assert len(found.frames) == 3
    assert all(np.array_equal(a, b) for a, b in zip(frames, found.frames, strict=True))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"text\.mp4"):
        media.read_clip(tmp_path / "text.mp4")
    with pytest.raises(UserError, match=r"absent\.png"):
        media.read_picture(tmp_path / "absent.png")


# Reports


def test_table_and_means() -> None:
    rows = [{"clip": "a", "ssim": 0.5}, {"clip": "b", "ssim": 0.7}, {"clip": "c", "ssim": None}]
    assert report.markdown(rows).splitlines()[2:] == ["| a | 0.5 |", "| b | 0.7 |", "| c | – |"]
    mean = report.mean_row(rows, clip="mean")
    assert mean["clip"] == "mean"
    assert mean["ssim"] == pytest.approx(0.6)


def test_sheet_places_pictures_and_gaps() -> None:
    white = np.full((10, 20, 3), 255, np.uint8)
    out = report.sheet([[white, white], [None, white]])
    assert out.shape == (24, 44, 3)
    assert (out[12:22, 22:42] == 255).all()
    assert (out[12:22, 0:20] == 96).all()


def test_difference_is_doubled() -> None:
    dark, light = (np.full((2, 2, 3), v, np.uint8) for v in (10, 30))
    assert (report.difference(dark, light) == 40).all()


def test_frames_are_spread_over_a_clip() -> None:
    assert sheet.shown_frames(100, 2) == [24, 74]
    assert sheet.shown_frames(1, 3) == [0]


def test_each_network_can_be_switched_off_for_comparison(tmp_path: Path) -> None:
    assert "without-refine" in crossframe.PRODUCT
    option, path = program.without(crossframe.PRODUCT["analytic"], tmp_path)
    assert option == "--config"
    networks = load_settings(Path(path)).networks
    assert not any(getattr(networks, name) for name in crossframe.NETWORKS)
