"""A face on another one by DepthNets' affine: places, mirror half, colours, the whole path."""

from dataclasses import replace
from functools import lru_cache, partial
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from videos import FACE, clip_frames, write_video

from stream.affine import apply_affine, solve_affine
from stream.affine_blend import ToneMatch, face_side, lay_face, soft_mask
from stream.affine_draw import FaceDrawer
from stream.affine_settings import AffineSettings
from stream.affine_source import behind, facing, following, lifted_face
from stream.affine_swap import AffineSwapper, cropped_face, face_mesh, swapped_mesh
from stream.errors import UserError
from stream.frame import Frame
from stream.geometry import rotation_from_angles
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.keypoint_mesh import EYES, INNER_LIPS, OVAL, mirror_order
from stream.media import StreamInfo, write_picture
from stream.pose import PoseRequest
from stream.region import Region
from stream.session import Job, perform
from stream.settings import Settings
from stream.stats import StageTimer

SIZE = 240
REST = PoseRequest()


def head_points(yaw=0.0, scale=1.0, shift=(SIZE / 2, SIZE / 2)):
    """(478, 3) points of the mean head, turned, in pixels."""
    points = load_head_model().points478().astype(float) @ rotation_from_angles(yaw, 0, 0).T
    points = scale * (points - points.mean(0))
    return points + np.array([*shift, 0])


def noise(seed=0, low=60, high=200, size=SIZE):
    return np.random.default_rng(seed).integers(low, high, (size, size, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def drawer():
    try:
        made = FaceDrawer(create_context())
    except UserError as error:
        pytest.skip(str(error))
    yield made
    made.release()


def drawn(drawer, face, mesh, region=None):
    texture = drawer.texture(face.pixels, many_sizes=False)
    picture = drawer.draw(texture, mesh, region or Region(0, 0, SIZE, SIZE))
    texture.release()
    return picture


# --- where points go ----------------------------------------------------------------------------


def test_without_following_the_mesh_is_the_affine_of_equation_3():
    source, target = head_points(20), head_points(-15, 1.2, (140, 100))[:, :2]
    face = lifted_face(noise(), source[:, :2], source[:, 2])
    mesh = swapped_mesh(face, target, follow=0.0)
    assert np.allclose(mesh.places_px, apply_affine(solve_affine(source, target), source))
    # Two views of one head differ by an affine, so that it meets the target.
    assert np.abs(mesh.places_px - target).max() < 0.01


def test_eyes_lips_and_outline_follow_an_expression_that_no_affine_can_make():
    source = head_points()
    target = source[:, :2].copy()
    jaw = load_head_model().expression_names.index("jawOpen")
    strength = np.zeros(52, np.float32)
    strength[jaw] = 1
    opened = load_head_model().points478(None, strength).astype(float)
    target = opened[:, :2] - opened[:, :2].mean(0) + SIZE / 2
    face = lifted_face(noise(), source[:, :2], source[:, 2])
    apart = [
        np.abs(swapped_mesh(face, target, follow).places_px - target)[list(INNER_LIPS)].max()
        for follow in (0.0, 1.0)
    ]
    assert apart[0] > 3
    assert apart[1] < 0.1
    share = following()
    for group in (OVAL, *EYES):
        assert share[list(group)].min() > 0.97
    assert share[1] < 0.5, "the tip of the nose stays with the affine"


def test_points_know_how_far_they_face_the_viewer():
    straight, turned = facing(head_points(0)), facing(head_points(40))
    nose, right_cheek, left_cheek = 1, 50, 280
    assert straight[nose] > 0.8
    assert abs(straight[right_cheek] - straight[left_cheek]) < 0.02
    assert abs(turned[right_cheek] - turned[left_cheek]) > 0.4


# --- the mirror half ----------------------------------------------------------------------------


def painted_head(drawer, yaw, dark_side=1.0):
    """A turned head with a symmetric pattern, but that one side may be darker; and its points."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2.0
    pattern = 120 + 50 * np.cos(np.abs(x) / 8) * np.cos(y / 9)
    pattern *= np.where(x > 0, dark_side, 1.0)
    pixels = np.repeat(pattern[..., None], 3, 2).astype(np.uint8)
    front, points = head_points(0), head_points(yaw)
    face = lifted_face(pixels, front[:, :2], front[:, 2], mirror=False)
    face = replace(face, texture_px=face.points_px)
    shown = drawn(drawer, face, face_mesh(face, points[:, :2], points[:, 2]))
    return np.where(shown[..., 3:] > 0, shown[..., :3], 250).astype(np.uint8), points


def test_a_frontal_face_needs_no_mirror_half_and_a_turned_one_only_where_it_is_hidden(drawer):
    pixels, points = painted_head(drawer, 0)
    assert lifted_face(pixels, points[:, :2], points[:, 2]).mirrored.max() < 0.05
    pixels, points = painted_head(drawer, 40)
    share = lifted_face(pixels, points[:, :2], points[:, 2]).mirrored
    seen, partner = facing(points), facing(points)[mirror_order(478)]
    turned_away = (seen < 0.1) & (partner > 0.6)
    beside_nose = (behind(points) == 1) & (partner > 0.6)
    assert min(turned_away.sum(), beside_nose.sum()) > 3
    assert share[turned_away | beside_nose].min() > 0.9
    assert share[(seen > 0.62) & (behind(points) == 0)].max() == 0


@pytest.mark.parametrize(("yaw", "dark"), [(40, 1.0), (-40, 1.0), (40, 0.7)])
def test_what_a_turned_source_hides_comes_from_its_mirror_half(drawer, yaw, dark):
    pixels, points = painted_head(drawer, yaw, dark)
    front = head_points(0)
    wanted, _ = painted_head(drawer, 0, dark)
    errors = []
    for mirror in (False, True):
        face = lifted_face(pixels, points[:, :2], points[:, 2], mirror=mirror)
        shown = drawn(drawer, face, face_mesh(face, front[:, :2], front[:, 2]))
        inside = cv2.erode(shown[..., 3].copy(), np.ones((9, 9))) > 0
        half = np.arange(SIZE) > SIZE / 2 + 8 if yaw > 0 else np.arange(SIZE) < SIZE / 2 - 8
        apart = np.abs(shown[..., 0].astype(int) - wanted[..., 0])
        errors.append(apart[inside & half].mean())
    assert errors[1] < (0.4 if dark == 1 else 0.65) * errors[0]


def test_drawing_where_it_was_gives_the_picture_back(drawer):
    pixels, points = painted_head(drawer, 0)
    face = lifted_face(pixels, points[:, :2], points[:, 2], mirror=False)
    face = replace(face, texture_px=face.points_px)
    region = Region(60, 50, 180, 190)
    shown = drawn(drawer, face, face_mesh(face, points[:, :2], points[:, 2]), region)
    inside = shown[..., 3] > 0
    assert inside.mean() > 0.5
    apart = np.abs(shown[..., :3].astype(int) - region.crop(pixels))[inside]
    assert np.percentile(apart, 99) <= 1


# --- laying it over -----------------------------------------------------------------------------


def test_the_mask_is_soft_inside_and_has_holes_only_where_the_target_is_kept():
    points = head_points(0, 1.1)[:, :2]
    shape = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(shape, [np.rint(points[list(OVAL)]).astype(np.int32)], 255)
    kept = soft_mask(shape, points, AffineSettings())
    whole = soft_mask(shape, points, AffineSettings(features="source"))
    assert not kept[shape == 0].any()
    eye = points[list(EYES[0])].mean(0).astype(int)
    assert whole[eye[1], eye[0]] == 255
    assert kept[eye[1], eye[0]] < 100
    edge = (whole > 20) & (whole < 235)
    assert edge.sum() > 300
    thin = soft_mask(shape, points, AffineSettings(features="source", edge=0.02))
    assert ((thin > 20) & (thin < 235)).sum() < 0.6 * edge.sum()


def test_colours_go_over_to_those_below():
    face, below = noise(0, 40, 90), noise(1, 120, 180)
    below[..., 2] //= 2
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (120, 120), 90, 255, -1)
    inside = mask > 0
    toned = ToneMatch()(face, below, mask, 1.0)
    assert np.abs(toned[inside].mean(0) - below[inside].mean(0)).max() < 6
    half = ToneMatch()(face, below, mask, 0.5)[inside].mean()
    assert face[inside].mean() + 15 < half < below[inside].mean() - 8
    assert np.array_equal(ToneMatch()(face, below, mask, 0.0), face)


def test_light_from_one_side_goes_on_over_the_pasted_face():
    slope = np.linspace(60, 200, SIZE, dtype=np.float32)
    below = np.repeat(np.tile(slope, (SIZE, 1))[..., None], 3, 2).astype(np.uint8)
    mask = np.full((SIZE, SIZE), 255, np.uint8)
    toned = ToneMatch()(noise(0, 100, 140), below, mask, 1.0).astype(int)
    assert np.abs(toned[:, 20:60].mean() - below[:, 20:60].mean()) < 12
    assert np.abs(toned[:, 180:220].mean() - below[:, 180:220].mean()) < 12


def test_colours_change_slowly_from_frame_to_frame():
    tone, mask = ToneMatch(), np.full((SIZE, SIZE), 255, np.uint8)
    face = noise(0, 100, 140)
    first = tone(face, noise(1, 100, 140), mask, 1.0).mean()
    second = tone(face, noise(1, 180, 220), mask, 1.0).mean()
    assert second - first < 25, "not the whole way at once"
    for _ in range(60):
        last = tone(face, noise(1, 180, 220), mask, 1.0).mean()
    assert abs(last - 200) < 6


def test_the_share_is_the_opacity():
    points = head_points(0, 1.1)[:, :2]
    shape = np.zeros((SIZE, SIZE, 4), np.uint8)
    cv2.fillPoly(shape, [np.rint(points[list(OVAL)]).astype(np.int32)], (200, 60, 60, 255))
    below = noise(2)
    options = AffineSettings(tone=0.0, features="source")
    nothing, _ = lay_face(below, shape, points, ToneMatch(), options, 0.0)
    assert np.array_equal(nothing, below)
    laid, mask = lay_face(below, shape, points, ToneMatch(), options)
    assert (laid[mask == 255] == (200, 60, 60)).all()
    assert np.array_equal(laid[mask == 0], below[mask == 0])


def test_a_large_source_is_made_as_small_as_frames_need_it():
    points = head_points(0, 8.0, (1000, 1000))
    pixels = noise(3, size=2000)
    face = cropped_face(pixels, points[:, :2], points[:, 2])
    assert 600 < face_side(face.points_px) < 680
    assert face.points_px.min() >= 0
    height, width = face.pixels.shape[:2]
    assert (face.points_px.max(0) <= (width, height)).all()
    ratio = np.ptp(face.depth_px) / np.ptp(face.points_px[:, 1])
    assert ratio == pytest.approx(np.ptp(points[:, 2]) / np.ptp(points[:, 1]), rel=1e-3)


# --- the path -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def pictures():
    return clip_frames(6)


@pytest.fixture(scope="module")
def source_path(tmp_path_factory):
    """Another face than the clip's: the clip's own, mirrored and in another light."""
    path = tmp_path_factory.mktemp("source") / "source.png"
    other = np.ascontiguousarray(pictures()[0][:, ::-1]).astype(float)
    write_picture(path, (other * [0.6, 0.8, 1.0]).astype(np.uint8))
    return path


def info(width=640, height=480, **known):
    return StreamInfo(width=width, height=height, fps=25.0, **known)


def swapper(settings, source, stream=None, **options):
    return AffineSwapper(settings, stream or info(), StageTimer(), sources=[source], **options)


def test_only_the_face_changes_and_it_changes_much(source_path):
    with swapper(Settings(), source_path) as path:
        for index, pixels in enumerate(pictures()[:4]):
            frame = Frame(pixels, index, index / 25)
            shown = path.process(frame, REST)
            changed = np.abs(shown.pixels.astype(int) - pixels).max(axis=2) > 0
            rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
            assert 0.02 < changed.mean() < 0.25
            box = (rows[-1] - rows[0]) * (columns[-1] - columns[0])
            assert box < 0.3 * changed.size
        assert path.faces_tracked == path.last_faces == 1
        runs_mesh = "openvino" if find_spec("openvino") else "mediapipe"
        assert path.engines["face_mesh"]["backend"] == runs_mesh


def test_strength_zero_gives_the_frame_back(source_path):
    with swapper(Settings(), source_path, strength=0.0) as path:
        frame = Frame(pictures()[0])
        assert path.process(frame, REST) is frame


def test_all_faces_are_swapped_where_all_are_asked_for(source_path):
    two = np.hstack([pictures()[0], pictures()[0][:, ::-1]])
    changed = {}
    for faces in ("largest", "all"):
        settings = replace(Settings(), faces=faces)
        with swapper(settings, source_path, info(1280, 480, still=True)) as path:
            shown = path.process(Frame(np.ascontiguousarray(two)), REST).pixels
            apart = (shown != two).any(axis=2)
            changed[faces] = [apart[:, :640].mean() > 0.02, apart[:, 640:].mean() > 0.02]
    assert sorted(changed["largest"]) == [False, True]
    assert changed["all"] == [True, True]


def test_settings_reach_the_picture(source_path):
    frame, shown = Frame(pictures()[0]), {}
    choices = {
        "usual": {}, "source": {"features": "source"}, "still": {"follow": 0.0},
        "plain": {"tone": 0.0}, "soft": {"edge": 0.2},
    }  # fmt: skip
    for name, values in choices.items():
        settings = replace(Settings(), affine=AffineSettings(**values))
        with swapper(settings, source_path, info(still=True)) as path:
            shown[name] = path.process(frame, REST).pixels.astype(int)
    for name in list(choices)[1:]:
        assert np.abs(shown[name] - shown["usual"]).max() > 8, name


def test_a_stage_that_fails_lets_the_frame_pass(source_path, monkeypatch, caplog):
    def broken(*_args, **_options):
        raise RuntimeError("no")

    with swapper(Settings(), source_path) as path, caplog.at_level("ERROR", logger="voltface"):
        monkeypatch.setattr("stream.affine_swap.swapped_mesh", broken)
        frame = Frame(pictures()[0])
        assert path.process(frame, REST) is frame
    assert "passes unchanged" in caplog.text


def test_a_source_without_a_face_is_refused(tmp_path):
    write_picture(tmp_path / "grey.png", np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(UserError, match="no face found"):
        swapper(Settings(), tmp_path / "grey.png")
    with pytest.raises(UserError, match="#3"):
        swapper(Settings(), f"{FACE}#3")
    with pytest.raises(UserError, match="no source"):
        AffineSwapper(Settings(), info(), StageTimer(), sources=[])


def test_a_video_goes_through_the_session(source_path, tmp_path):
    write_video(tmp_path / "in.mp4", pictures())
    build = partial(AffineSwapper, sources=[source_path])
    job = Job(str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4"), build=build, quiet=True)
    outcome = perform(job)
    assert outcome.exit_code == 0
    assert outcome.stats.frames_out == len(pictures())
    assert {"track", "fit", "warp", "composite"} <= set(outcome.stats.timer.summary())
