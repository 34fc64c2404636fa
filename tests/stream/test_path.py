import logging

import numpy as np

from stream.frame import Frame
from stream.media import StreamInfo
from stream.path import Begun, FramePath
from stream.pose import PoseRequest


class Broken(FramePath):
    def _process(self, frame, request):
        raise RuntimeError("no such stage")


def test_a_path_that_fails_shows_the_frame_and_says_so_once(caplog):
    path = Broken(StreamInfo(8, 6, 25.0))
    frame = Frame(np.zeros((6, 8, 3), np.uint8))
    with caplog.at_level(logging.ERROR, logger="voltface"):
        shown = [path.process(frame, PoseRequest()) for _ in range(3)]
    assert all(one is frame for one in shown)
    assert [record.getMessage() for record in caplog.records] == [
        "a frame passes unchanged: no such stage"
    ]


def test_what_goes_out_is_what_comes_in_unless_a_path_says_otherwise():
    info = StreamInfo(8, 6, 25.0)
    path = Broken(info)
    assert path.output_info is info
    path.press("x")  # keys of no path do nothing


def test_a_frame_is_done_part_by_part():
    done, frame = [], Frame(np.zeros((6, 8, 3), np.uint8))

    def parts():
        for part in "ab":
            done.append(part)
            yield
        return frame

    begun = Begun(parts(), failed=None)
    assert done == ["a"]
    begun.go_on()
    assert done == ["a", "b"]
    assert begun.finish() is frame
    begun.go_on()  # there is nothing left to do
    assert begun.finish() is frame


def test_a_part_that_fails_ends_the_frame():
    def parts():
        yield
        raise RuntimeError("late")

    begun = Begun(parts(), failed=str)
    begun.go_on()
    assert begun.finish() == "late"
