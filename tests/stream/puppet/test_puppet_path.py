import inspect
import logging
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from stream.cli import run_command
from stream.cli_puppet import puppet
from stream.errors import UserError
from stream.frame import Frame
from stream.media import open_source, read_picture
from stream.media.base import StreamInfo
from stream.pose import PoseRequest
from stream.puppet import path as puppet_module
from stream.puppet import photo as photo_module
from stream.puppet.figure import _jaw
from stream.puppet.path import Puppeteer, PuppetOptions, puppet_path
from stream.puppet.photo import faults, read_photo
from stream.puppet.topology import LEFT_EYE, MOUTH, RIGHT_EYE
from stream.session import Job, perform
from stream.settings import Settings
from stream.stats import StageTimer

ASSETS = puppet_module.__file__.rsplit("/puppet/", 1)[0] + "/assets"
FACE, DEMO = f"{ASSETS}/face.jpg", f"{ASSETS}/demo.mp4"  # a face alone; a person in a room
REQUEST = PoseRequest()


def opened(photo=FACE, still=False, **options):
    info = StreamInfo(640, 480, 25.0, still=still, name="driver")
    return Puppeteer(photo, PuppetOptions(**options), Settings(), info, StageTimer())


@pytest.fixture(scope="module")
def frames():
    with open_source(DEMO) as source:
        return [frame for frame, _ in zip(source, range(24), strict=False)]


@pytest.fixture(scope="module")
def photo(frames, tmp_path_factory):
    return write(tmp_path_factory.mktemp("photo"), frames[0].pixels)


@pytest.fixture(scope="module")
def path(photo):
    with opened(photo) as path:
        yield path


def psnr(a, b):
    error = ((a.astype(float) - b) ** 2).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


def write(tmp_path, pixels, name="photo.png"):
    file = tmp_path / name
    cv2.imwrite(str(file), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return str(file)


def test_photo_at_rest_comes_out_as_it_is(path, photo):
    shown, right = path._figure.draw(path._director.rest()), read_photo(photo)
    assert shown.shape == right.shape
    assert psnr(shown, right) > 40


def test_nothing_moves_while_no_driver_is_seen(path, photo):
    blank = Frame(np.zeros((480, 640, 3), np.uint8), 0, 0.0)
    path._heads.reset()
    shown = path.process(blank, REQUEST)
    assert psnr(shown.pixels, read_photo(photo)) > 40
    assert path.last_faces == 0


def test_eyes_close_and_mouth_opens(path):
    rest = path._director.rest()
    figure = path._figure
    still, photo = figure.points_px(rest), figure.draw(rest)
    shut = figure.points_px(replace(rest, eyes=(0.0, 0.0)))
    gap, closed = still[145, 1] - still[159, 1], shut[145, 1] - shut[159, 1]
    assert gap > 2
    assert abs(closed) < 0.05 * gap
    spoken = replace(rest, mouth=0.25)
    lips = figure.points_px(spoken)
    eyes_px = np.linalg.norm(still[33] - still[263])
    assert (lips[14] - lips[13])[1] == pytest.approx(0.25 * eyes_px, rel=0.2)
    change = np.abs(figure.draw(spoken).astype(int) - photo).max(axis=2)
    middle = ((lips[13] + lips[14]) / 2).astype(int)
    assert change[middle[1] - 3 : middle[1] + 4, middle[0] - 3 : middle[0] + 4].mean() > 30
    assert change[: int(still[:, 1].min())].max() < 12


def test_smooth_outlines_are_the_same_picture_with_softer_steps(path):
    rest = path._director.rest()
    rough = np.zeros(2)
    for turn in ((-20.0, 0, 0), (0, -14.0, 0)):
        act = replace(rest, angles=rest.angles + np.array(turn))
        both = [path._figure.draw(act), path._figure.draw(act, smooth=True)]
        assert psnr(*both) > 30
        changed = np.abs(both[0].astype(int) - both[1]).max(axis=2) > 32  # stepped outlines
        changed[: int(path._figure.points_px(rest)[33, 1])] = False  # hair fades anyway
        for number, one in enumerate(both):
            detail = np.abs(one - cv2.GaussianBlur(one.astype(float), (0, 0), 1.0))
            rough[number] += detail[changed].mean()
    assert rough[1] < 0.9 * rough[0]


def test_turned_head_moves_as_expected(path):
    rest = path._director.rest()
    still = path._figure.points_px(rest)
    turned = path._figure.points_px(replace(rest, angles=rest.angles + np.array([15.0, 0, 0])))
    shift = turned - still
    assert shift[1, 0] > shift[454, 0] + 3  # the tip of the nose against the left cheek
    assert shift[1, 0] > 8


def test_shoulders_lean_with_a_head_that_moves_aside(path):
    figure, grid = path._figure, path._portrait.mesh.depth.grid
    skin, clothes = (one.reshape(grid.rows, grid.columns, 3)
                     for one in figure._body.moved(np.array([20.0, 0.0, 0.0]), 0.0))  # fmt: skip
    assert clothes[:, grid.columns // 2, 0].max() > 10  # so that the neck stays in its collar
    assert np.abs(clothes[:, [0, -1]]).max() < 1  # the rest of the photo stays
    heads = path._portrait.mesh.depth.turn > 0.99
    assert np.abs(skin[heads]).max() < 0.2  # it goes with the head already
    assert (np.abs(skin) <= np.abs(clothes) + 1e-6).all()


def test_a_head_that_the_photo_cuts_stays_at_its_border(path, frames, tmp_path):
    top = int(path._portrait.face.points_px[10, 1])  # of the forehead
    with opened(write(tmp_path, np.ascontiguousarray(frames[0].pixels[top:]))) as cut:
        rest, figure = cut._director.rest(), cut._figure
        still = figure.points_px(rest)
        lower, higher = (replace(rest, shift_mm=np.array([0.0, up, 0.0])) for up in (15.0, -15.0))
        assert figure.points_px(lower)[1, 1] == pytest.approx(still[1, 1], abs=1.0)
        assert figure.points_px(higher)[1, 1] < still[1, 1] - 3
        middle = int(still[10, 0])
        pictures = [figure.draw(act)[0, middle].astype(int) for act in (lower, rest)]
        assert np.abs(pictures[0] - pictures[1]).max() < 30
    rest = path._director.rest()
    lower = replace(rest, shift_mm=np.array([0.0, 15.0, 0.0]))
    assert path._figure.points_px(lower)[1, 1] > path._figure.points_px(rest)[1, 1] + 3


def test_driver_moves_the_photo_and_is_let_go_within_five_frames(frames):
    photo = read_photo(FACE)
    with opened() as path:
        for frame in frames:
            shown = path.process(frame, REQUEST)
        assert psnr(shown.pixels, photo) < 38
        assert not path._failed
        last = frames[-1]
        blank = np.full_like(last.pixels, 90)
        for number in range(1, 8):
            gone = Frame(blank, last.index + number, last.time_s + number / 25)
            shown = path.process(gone, REQUEST)
        assert psnr(shown.pixels, photo) > 40


def test_calibration_key_takes_the_present_face_for_rest(frames):
    photo = read_photo(FACE)
    with opened() as path:
        for frame in frames:
            shown = path.process(frame, REQUEST)
        before = psnr(shown.pixels, photo)
        path.press("x")
        path.press("c")
        shown = path.process(frames[-1], REQUEST)
        assert psnr(shown.pixels, photo) > before + 3


def test_request_turns_the_head_on_top(path, frames):
    path._heads.reset()
    for frame in frames[:6]:
        path.process(frame, REQUEST)
    plain = path.expected_points_px()
    path.process(frames[6], PoseRequest(yaw=12.0))
    assert path.expected_points_px()[1, 0] > plain[1, 0] + 5


def test_failing_stage_shows_the_photo(frames, caplog, monkeypatch):
    with opened() as path:
        monkeypatch.setattr(path._figure, "draw", lambda act, smooth: 1 / 0)
        with caplog.at_level(logging.ERROR, "voltface"):
            shown = path.process(frames[0], REQUEST)
        assert (shown.pixels == read_photo(FACE)).all()
        assert "division" in caplog.text
        assert (path.bypassed(frames[0]).pixels == read_photo(FACE)).all()


def test_video_has_the_photos_size_and_the_drivers_sound(tmp_path):
    target = tmp_path / "out.mp4"
    outcome = perform(Job(DEMO, str(target), quiet=True, build=puppet_path(FACE)))
    assert outcome.stats.frames_out == 150
    assert outcome.stats.faces_tracked >= 1
    with av.open(str(target)) as made, av.open(DEMO) as driver:
        height, width = read_photo(FACE).shape[:2]
        video, sound = made.streams.video[0], made.streams.audio[0]
        assert (video.width, video.height) == (width, height)
        spans = [float(one.duration * one.time_base) for one in (video, sound)]
        before = float(driver.streams.audio[0].duration * driver.streams.audio[0].time_base)
        assert spans[1] == pytest.approx(before, abs=0.06)
        assert spans[0] == pytest.approx(6.0, abs=0.05)


def test_picture_drives_a_picture(tmp_path):
    driver, _ = read_picture(FACE)
    target = tmp_path / "out.png"
    mirrored = write(tmp_path, np.ascontiguousarray(driver[:, ::-1]), "driver.png")
    perform(Job(mirrored, str(target), quiet=True, build=puppet_path(FACE)))
    made, _ = read_picture(target)
    assert made.shape == read_photo(FACE).shape
    blank = write(tmp_path, np.full((200, 200, 3), 99, np.uint8), "blank.png")
    with pytest.raises(UserError, match="no face"):
        perform(Job(blank, str(target), quiet=True, build=puppet_path(FACE)))


def test_photo_without_a_face_is_refused(tmp_path):
    with pytest.raises(UserError, match="no face found in the photo photo"):
        opened(write(tmp_path, np.full((240, 240, 3), 120, np.uint8)))


def test_photo_with_a_small_face_is_refused(tmp_path):
    small = cv2.resize(read_photo(FACE), (40, 40), interpolation=cv2.INTER_AREA)
    wall = np.full((300, 300, 3), 150, np.uint8)
    wall[100:140, 100:140] = small
    with pytest.raises(UserError, match="too small"):
        opened(write(tmp_path, wall))


def test_photo_from_the_side_is_refused(monkeypatch):
    monkeypatch.setattr(photo_module, "seen_angles", lambda pose: np.array([62.0, 0, 0]))
    with pytest.raises(UserError, match="turned too far"):
        opened()


def test_photo_on_its_side_is_refused(tmp_path):
    side = np.ascontiguousarray(read_photo(FACE).transpose(1, 0, 2)[::-1])
    with pytest.raises(UserError, match="lies on its side"):
        opened(write(tmp_path, side))


def test_what_is_wrong_with_a_photo_is_said(path):
    pixels, face = path._portrait.pixels, path._portrait.face
    assert faults(pixels, face) == []
    points = face.points_px.copy()
    for eye in (RIGHT_EYE, LEFT_EYE):
        points[eye.lower] = points[eye.upper]
    points[MOUTH.lower[3:8], 1] += 0.6 * np.ptp(points[MOUTH.loop, 0])
    blurred = cv2.GaussianBlur(pixels, (0, 0), 0.06 * np.ptp(points[:, 0]))
    eyes, mouth, soft = faults(blurred, replace(face, points_px=points))
    assert "eyes are closed" in eyes
    assert "wide open" in mouth
    assert "blurred" in soft


def test_photo_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        opened(str(tmp_path / "absent.jpg"))


def test_largest_of_two_faces_is_moved_and_said(tmp_path, caplog):
    face = read_photo(FACE)
    small = cv2.resize(face, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((face.shape[0], face.shape[1] + small.shape[1], 3), 128, np.uint8)
    both[: small.shape[0], : small.shape[1]] = small
    both[:, small.shape[1] :] = face
    photo = write(tmp_path, both)
    with caplog.at_level(logging.WARNING, "voltface"), opened(photo) as path:
        nose = path._portrait.face.points_px[1]
    assert "2 faces" in caplog.text
    assert nose[0] > small.shape[1]
    with opened(f"{photo}#1") as path:
        nose = path._portrait.face.points_px[1]
    assert nose[0] < small.shape[1]
    with pytest.raises(UserError, match="no face number 3"):
        opened(f"{photo}#3")


def test_large_photo_is_scaled_down_and_said(tmp_path, caplog):
    large = np.zeros((1501, 1201, 3), np.uint8)
    with caplog.at_level(logging.WARNING, "voltface"):
        pixels = read_photo(write(tmp_path, large))
    assert pixels.shape == (1080, 864, 3)
    assert "864 x 1080" in caplog.text


def test_background_is_the_photos_own_until_the_head_moves(path, frames):
    figure = path._figure
    rest = path._director.rest()
    at_rest = figure.draw(rest).astype(int)
    moved = figure.draw(replace(rest, angles=rest.angles + np.array([14.0, 0, 0]))).astype(int)
    again = figure.draw(rest).astype(int)
    assert (at_rest == again).all()
    assert np.abs(moved - at_rest).max() > 40


def test_a_face_ends_in_its_jaw_before_clothes_alone(path):
    fields, portrait = path._figure._fields, path._portrait
    for cover in (0, 255):
        around = _jaw(fields, replace(portrait, clothes=np.full_like(portrait.clothes, cover)))
        assert around[152] == (cover > 0)  # chin
        assert around[10] == around[234] == 0  # forehead, and beside an ear


def test_a_turn_that_no_photo_allows_is_refused(tmp_path):
    with pytest.raises(UserError, match="--most-yaw is 40"):
        run_command(["puppet", FACE, DEMO, str(tmp_path / "out.mp4"), "--most-yaw", "40"])
    told = inspect.signature(puppet).parameters["most_yaw"].default
    assert told == PuppetOptions().most_yaw
