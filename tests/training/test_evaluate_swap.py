"""The figures of the swap on pictures whose answer is known."""

import cv2
import numpy as np
import pytest

from stream.region import Region
from stream.swap.compose import Laid
from training.evaluate_swap import identity, measures, sheet

RNG = np.random.default_rng(4)


def points(shift=0.0, opening=5.0):
    """478 points of a face 100 px between the outer corners of its eyes."""
    found = RNG.uniform(0, 200, (478, 3))
    found[[33, 263], :2] = (50, 100), (150, 100)
    found[13, :2], found[14, :2] = (100, 160), (100, 160 + opening)
    return found + shift


def test_points_that_lie_3_px_off_err_by_3_per_cent():
    first = points()
    moved = first + np.array([3.0, 0.0, 9.0])
    assert measures.point_errors([first, None], [moved, first]) == [pytest.approx(0.03)]


def test_mouths_that_open_together_correlate_and_others_do_not():
    course = [5, 8, 20, 12, 3, 9, 15]
    own = measures.mouth_openings([points(opening=each) for each in course])
    assert own == pytest.approx(np.array(course) / 100)
    assert measures.correlation(own, 0.5 * own + 0.01) == pytest.approx(1)
    assert measures.correlation(own, own[::-1]) < 0.5
    assert np.isnan(measures.correlation(0 * own, own))
    assert np.isnan(measures.mouth_openings([None])[0])


def test_only_what_changes_its_speed_flickers():
    steady = np.arange(9.0)[:, None, None] * np.ones((1, 5, 2))
    assert measures.jerk(steady) == pytest.approx(0)
    shaken = steady + 0.5 * (-1.0) ** np.arange(9)[:, None, None] * (1, 0)
    assert measures.jerk(shaken) == pytest.approx(2.0)
    shaken[4] = np.nan
    assert measures.jerk(shaken) == pytest.approx(2.0)


def test_points_are_followed_in_shares_and_gaps_are_nan():
    first = points()
    courses = measures.point_courses([first, None])
    assert courses.shape == (2, 468, 2)
    assert np.allclose(courses[0], first[:468, :2] / 100)
    assert np.isnan(courses[1]).all()


def test_noise_at_the_corners_of_the_eyes_is_no_flicker_of_the_others():
    rng = np.random.default_rng(4)
    still = rng.uniform(300, 500, (478, 3)).astype(np.float32)
    frames = [still.copy() for _ in range(9)]
    for number, frame in enumerate(frames):
        frame[[33, 263], 0] += (-1) ** number * np.array([-3.0, 3.0])
    courses = measures.point_courses(frames)
    steady = np.setdiff1d(np.arange(468), [33, 263])
    assert measures.jerk(courses[:, steady]) < 1e-6
    assert measures.jerk(courses[:, [33, 263]]) > 0.01


def test_colours_are_read_at_the_same_places_of_every_picture():
    picture = np.full((240, 240, 3), (90, 120, 150), np.uint8)
    brighter = picture + 10
    found = points()
    courses = measures.colour_courses([picture, brighter], [found, found])
    assert np.allclose(courses[1] - courses[0], 10)
    assert np.isnan(measures.colour_courses([picture], [None])).all()


def pasted(step, soft):
    before = np.full((160, 160, 3), 120, np.uint8)
    cover = np.zeros((120, 120), np.uint8)
    cv2.circle(cover, (60, 60), 40, 255, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), soft)
    after = before.astype(np.float32)
    after[20:140, 20:140] += step * (cover[..., None] / 255.0)
    noise = RNG.normal(0, 3, after.shape[:2])[..., None]
    region = Region(20, 20, 140, 140)
    under = np.ascontiguousarray(region.crop(before))
    return before, np.clip(after + noise, 0, 255).astype(np.uint8), Laid(region, cover, under)


def test_a_hard_step_is_a_seam_and_a_soft_or_absent_one_is_less():
    hard, soft, none = (
        measures.seam_steps(*pasted(step, width)) for step, width in ((60, 1), (60, 9), (0, 9))
    )
    assert hard.added > 2 * soft.added > 2 * none.added
    assert hard.added > 3 * hard.inside
    assert none.added == pytest.approx(none.inside, rel=0.3)
    assert hard.input == 0


def test_eyes_and_mouth_are_no_outer_seam():
    before, after, face = pasted(0, 1)
    holed = face.cover.copy()
    cv2.circle(holed, (60, 60), 12, 0, -1)
    cv2.circle(after, (80, 80), 12, (255, 255, 255), -1)
    whole = measures.seam_steps(before, after, face)
    parts = measures.seam_steps(before, after, face._replace(cover=holed))
    assert parts.added == pytest.approx(whole.added)


def test_glasses_across_a_face_are_no_outer_seam():
    before, after, face = pasted(0, 1)
    parted = face.cover.copy()
    parted[52:58] = 0
    after[72:78] = 20
    whole = measures.seam_steps(before, after, face)
    parts = measures.seam_steps(before, after, face._replace(cover=parted))
    assert parts.added == pytest.approx(whole.added, rel=0.1)


def test_an_outline_that_was_moved_with_what_is_under_the_face_changes_but_adds_no_seam():
    before, after, face = pasted(0, 1)
    moved = face.under.copy()
    moved[:, 97:] -= 60
    after[20:140, 117:140] = moved[:, 97:]
    seam = measures.seam_steps(before, after, face._replace(under=moved))
    assert seam.changed > 1.5 * seam.added


def test_without_a_judge_there_is_no_verdict(tmp_path):
    picture = np.zeros((40, 40, 3), np.uint8)
    absent = tmp_path / "python"
    absent.write_text("#!/bin/sh\nexit 1\n")
    absent.chmod(0o755)
    assert identity.descriptors([picture], [np.array([0, 0, 9, 9])], str(absent)) is None


def test_close_ups_of_pictures_without_a_face_show_all():
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[:, :40] = 200
    first, second = sheet.close_up(picture, 255 - picture, 80)
    assert first.shape == second.shape == (80, 80, 3)
    assert first[40, 10].mean() == 200 and first[40, 70].mean() == 0
