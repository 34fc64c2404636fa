"""Pairs of real frames, and the key of a backdrop."""

import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Face, Head
from stream.geometry import project, rigid_transform, rotation_from_angles, transform_points
from stream.head_model import load_head_model
from stream.region import Region
from training import clips
from training.clip_masks import above_chin, has_chroma_backdrop

BACKDROP = np.array([70.0, 190, 220])
SKIN = np.array([200.0, 140, 110])


def before_backdrop(colour: np.ndarray = SKIN, backdrop: np.ndarray = BACKDROP):
    """A soft disc of one colour before a backdrop that darkens to the right, and its matte."""
    x, y = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    alpha = np.clip(70 - np.hypot(x - 150, y - 130) + 0.5, 0, 1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.0)
    behind = backdrop * (1.0 - 0.4 * x / 320)[..., None]
    noise = np.random.default_rng(0).normal(0, 2.0, (240, 320, 3))
    mixed = alpha[..., None] * colour + (1 - alpha[..., None]) * behind + noise
    return np.clip(mixed, 0, 255).astype(np.uint8), alpha


@pytest.mark.parametrize("colour", [SKIN, np.array([25.0, 22, 24]), np.array([150.0, 150, 155])])
def test_the_key_gives_the_matte(colour):
    picture, alpha = before_backdrop(colour)
    assert has_chroma_backdrop(picture)
    mask = clips.chroma_key_mask(picture)
    assert mask.dtype == np.float32 and mask.shape == alpha.shape
    assert np.abs(mask - alpha).mean() < 0.01
    assert mask[alpha > 0.999].min() > 0.9
    assert mask[alpha < 0.001].max() < 0.1


def test_specks_go_and_bluish_spots_of_the_person_stay():
    picture, _ = before_backdrop()
    picture[30:36, 250:256] = (200, 140, 110)
    picture[120:124, 150:154] = (110, 150, 160)  # less of the key than the backdrop there
    mask = clips.chroma_key_mask(picture)
    assert mask[30:36, 250:256].max() == 0
    assert mask[120:124, 150:154].min() > 0.95


def test_the_backdrop_between_strands_is_kept_out():
    picture, _ = before_backdrop()
    picture[125:140, 140:155] = (BACKDROP * (1 - 0.4 * 147 / 320)).astype(np.uint8)
    assert clips.chroma_key_mask(picture)[130:135, 145:150].max() < 0.2


def test_black_lines_at_the_edge_are_no_person():
    picture, _ = before_backdrop()
    picture[:2] = 0
    picture[:, -2:] = 0
    mask = clips.chroma_key_mask(picture)
    assert mask[0].max() < 0.1 and mask[:, -1].max() < 0.1


def test_other_backgrounds_are_not_keyed():
    grey, _ = before_backdrop(backdrop=np.array([120.0, 125, 128]))
    warm, _ = before_backdrop(backdrop=np.array([220.0, 190, 150]))
    assert not has_chroma_backdrop(grey)
    assert not has_chroma_backdrop(warm)
    assert not has_chroma_backdrop(np.zeros((240, 320, 3), np.uint8))


def record(index: int, yaw: float = 0.0, unit: float = 0.0, scene: int = 0, face: int = 1):
    expression = np.zeros(52, np.float32)
    expression[3] = unit
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([0, 0, 600.0]))
    camera = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    points = np.zeros((478, 3), np.float32)
    head = Head(face, np.zeros(80, np.float32), expression, pose, camera)
    return clips._Record(index, index / 25, scene, Face(face, points), head, (320, 240))


def test_only_frames_that_differ_make_pairs():
    rng = np.random.default_rng(0)
    still = [record(n, yaw=0.5 * n, unit=0.02 * n) for n in range(8)]
    assert clips.choose_pairs(still, 10, rng) == []
    assert clips.choose_pairs([], 10, rng) == [] == clips.choose_pairs(still[:1], 10, rng)
    turned = clips.choose_pairs([*still, record(8, yaw=20)], 100, rng)
    assert len(turned) == 8
    assert all(8 in (a.index, b.index) for a, b in turned)
    assert len(clips.choose_pairs([still[0], record(9, unit=0.5)], 10, rng)) == 1


def test_pairs_stay_in_one_scene_and_with_one_person():
    rng = np.random.default_rng(0)
    mixed = [record(0), record(1, 30, scene=1), record(2, -30, face=2), record(3, 60, scene=1)]
    pairs = clips.choose_pairs(mixed, 10, rng)
    assert [{a.index, b.index} for a, b in pairs] == [{1, 3}]


def test_choice_is_bounded_and_repeatable():
    records = [record(n, yaw=3.0 * n) for n in range(20)]
    first = clips.choose_pairs(records, 7, np.random.default_rng(4))
    again = clips.choose_pairs(records, 7, np.random.default_rng(4))
    assert len(first) == 7
    assert [(a.index, b.index) for a, b in first] == [(a.index, b.index) for a, b in again]
    assert {a.index < b.index for a, b in first} == {True, False}


def test_the_square_holds_both_regions():
    crop = clips.square_crop([Region(10, 20, 110, 140), Region(60, 0, 190, 100)], 128)
    corners = np.array([[10, 0, 1], [190, 140, 1.0]]) @ crop.T
    assert corners[:, :2].min() >= -1e-9 and corners[:, :2].max() <= 128 + 1e-9
    assert np.allclose(corners[0, 0], 0) and np.allclose(corners[1, 0], 128)


def test_the_mask_fades_below_the_chin_along_the_tilted_head():
    pose = rigid_transform(rotation_from_angles(0, 0, 90), np.array([0, 0, 500.0]))
    camera = np.array([[250.0, 0, 64], [0, 250, 64], [0, 0, 1]])
    points = np.zeros((478, 3), np.float32)
    points[152, :2] = 50, 64
    share = above_chin(pose, camera, points, 128)
    assert share[64, 60] == 1 and share[10, 70] == 1  # the head lies to the right of its chin
    assert share[64, 20] == 0
    assert share.dtype == np.float32


def test_no_clips_are_named(tmp_path):
    with pytest.raises(UserError, match="No clips"):
        list(clips.clip_pairs(tmp_path))
    with pytest.raises(UserError, match=r"none\.mp4"):
        clips.clip_files([tmp_path / "none.mp4"])


def check_view(view, size: int, covered: float) -> None:
    assert view.pixels.shape == (size, size, 3) and view.pixels.dtype == np.uint8
    assert view.points478_px.shape == (478, 3)
    for mask in (view.head_mask, view.person_mask):
        assert mask.shape == (size, size) and mask.dtype == np.float32
        assert mask.min() >= 0 and mask.max() <= 1
    assert (view.head_mask <= view.person_mask).all()
    x, y = view.points478_px[:468, :2].astype(int).T
    assert view.head_mask[y, x].mean() > covered
    model = load_head_model()
    points = model.points478(view.identity, view.expression)
    seen = project(transform_points(view.camera_from_head, points), view.intrinsics)
    eyes = np.linalg.norm(view.points478_px[33] - view.points478_px[263])
    apart = np.linalg.norm(seen - view.points478_px[:, :2], axis=1)[:468]
    assert apart.mean() < 0.1 * eyes  # pose and intrinsics are those of the crop


def test_grid_gives_keyed_pairs_of_expressions(dev_clips):
    (*pairs,) = clips.clip_pairs([dev_clips / "grid_swiz3n.mpg"], size=128, per_clip=3)
    assert len(pairs) == 3
    for pair in pairs:
        assert pair.clip == "grid_swiz3n.mpg"
        assert abs(pair.yaw_deg) >= 5 or pair.expression_change >= 0.25
        assert pair.times_s[0] != pair.times_s[1]
        assert np.array_equal(pair.first.crop_from_frame, pair.second.crop_from_frame)
        for view in (pair.first, pair.second):
            assert view.keyed
            check_view(view, 128, 0.97)
            assert view.person_mask[:8].max() < 0.05


def test_a_head_that_turns_gives_turned_pairs(dev_clips):
    clip = dev_clips / "intel_head-pose-face-detection-female.gif"
    pairs = list(clips.clip_pairs([clip], size=96, per_clip=4, rng=np.random.default_rng(1)))
    assert max(abs(pair.yaw_deg) for pair in pairs) > 10
    for pair in pairs:
        check_view(pair.first, 96, 0.7)  # in profile points overhang
        assert not pair.first.keyed
