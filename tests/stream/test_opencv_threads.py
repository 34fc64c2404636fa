"""Frames are worked on without OpenCV's own threads, which come back afterwards."""

import cv2
import pytest

from stream.opencv_threads import one_thread_a_call


def test_calls_have_one_thread_inside_and_as_many_as_before_afterwards() -> None:
    before = cv2.getNumThreads()
    with one_thread_a_call():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


def test_threads_come_back_after_a_failure() -> None:
    before = cv2.getNumThreads()
    with pytest.raises(ValueError, match="frame"), one_thread_a_call():
        raise ValueError("frame")
    assert cv2.getNumThreads() == before
