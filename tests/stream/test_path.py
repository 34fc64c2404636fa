import logging

import numpy as np

from stream.frame import Frame
from stream.media import StreamInfo
from stream.path import FramePath
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
