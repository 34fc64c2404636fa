import os
import sys
import threading

import pytest

from stream.side_job import SideJob


def test_the_answer_comes_once():
    job = SideJob("sum")
    assert job.take() is None
    job.start(lambda: 3)
    assert job.busy
    job.wait(10)
    assert job.take() == 3
    assert job.take() is None
    assert not job.busy


def test_no_answer_before_it_is_there():
    gate = threading.Event()
    job = SideJob("gate")
    job.start(lambda: gate.wait(10))
    assert job.take() is None
    gate.set()
    job.wait(10)
    assert job.take() is True


def test_a_dropped_answer_is_lost():
    job = SideJob("lost")
    job.start(lambda: 1)
    job.drop()
    job.wait(1)
    assert job.take() is None


def test_a_newer_job_takes_the_place_of_an_older():
    gate = threading.Event()
    job = SideJob("newer")
    job.start(lambda: gate.wait(10))
    job.start(lambda: "new")
    job.wait(10)
    assert job.take() == "new"
    gate.set()


def test_a_failure_is_told_once_and_leaves_no_answer(caplog):
    job = SideJob("division")
    for _ in range(3):
        job.start(lambda: 1 // 0)
        job.wait(10)
        assert job.take() is None
        assert not job.busy
    assert caplog.text.count("division failed") == 1


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere threads have no priority of their own"
)
def test_what_the_path_waits_for_goes_first():
    job, before = SideJob("nice"), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    job.start(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    job.wait(10)
    assert job.take() > before
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
