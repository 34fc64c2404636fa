"""Motion files and window keys."""

import numpy as np
import pytest

from stream.errors import UserError
from stream.motion import Controls, load_motion, requests_over_time
from stream.pose import PoseRequest


def write(folder, text, encoding="utf-8"):
    path = folder / "motion.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("header", ["", "time,yaw,pitch,roll\n", "Time, Yaw, Pitch, Roll\n"])
def test_rows_are_met_and_held_at_the_ends(tmp_path, header):
    motion = load_motion(write(tmp_path, header + "1,0,0,0\n2,20,-10,4\n\n"))
    assert motion.at(0.0) == (0.0, 0.0, 0.0)
    assert motion.at(1.5) == (10.0, -5.0, 2.0)
    assert motion.at(99.0) == (20.0, -10.0, 4.0)


def test_header_gives_the_order(tmp_path):
    motion = load_motion(write(tmp_path, "roll,time,pitch,yaw,note\n4,0,3,2,hello\n"))
    assert motion.at(0.0) == (2.0, 3.0, 4.0)


def test_smooth_curve_meets_the_rows_and_does_not_overshoot(tmp_path):
    path = write(tmp_path, "0,0,0,0\n1,0,0,0\n2,30,0,0\n3,30,0,0\n")
    motion = load_motion(path, "smooth")
    yaw = np.array([motion.at(t)[0] for t in np.linspace(0, 3, 301)])
    assert motion.at(2.0)[0] == pytest.approx(30.0)
    assert yaw.min() >= -1e-9
    assert yaw.max() <= 30.0 + 1e-9
    assert np.abs(np.diff(yaw, 2)).max() < 0.04  # straight lines would give 0.3 at the corners


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it has no rows"),
        ("time,yaw,pitch,roll\n", "it has no rows"),
        ("0,1,2,3\n1,2,3\n", "line 2 has 3 columns"),
        ("0,1,2,3\n\n1,x,2,3\n", "line 3 is not four numbers"),
        ("0,1,2,3\n0,1,2,3\n", r"line 2 \(0 s\) is not after"),
        ("0,nan,2,3\n", "line 1 has a number that is not finite"),
        ("a,b,c,d\n", "line 1 is not four numbers"),
    ],
)
def test_bad_rows_are_refused_by_line(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        load_motion(write(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "motion.csv"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(UserError, match="not a text table"):
        load_motion(path)
    with pytest.raises(UserError, match=r"gone\.csv"):
        load_motion(tmp_path / "gone.csv")


def test_motion_is_added_to_the_constant_request(tmp_path):
    motion = load_motion(write(tmp_path, "0,0,0,0\n2,20,-10,4\n"))
    at = requests_over_time(PoseRequest(yaw=5, frontal=0.5), motion)
    assert at(1.0) == PoseRequest(yaw=15, pitch=-5, roll=2, frontal=0.5)
    assert requests_over_time(PoseRequest(yaw=5), None)(7.0) == PoseRequest(yaw=5)


def test_keys_turn_reset_mirror_bypass_and_quit():
    controls = Controls()
    for key in ("right", "right", "up", "down", "down", "x"):
        controls.press(key)
    assert controls.applied(PoseRequest(yaw=1)) == PoseRequest(yaw=5, pitch=-2)
    controls.press("0")
    assert controls.applied(PoseRequest(yaw=1)) == PoseRequest(yaw=1)
    controls.press("m")
    controls.press("right")
    assert controls.mirrored
    assert controls.yaw == -2.0  # in a mirror the nose must still follow the arrow
    controls.press("space")
    assert controls.bypassed
    controls.press("space")
    assert not controls.bypassed
    controls.press("q")
    assert controls.quit
