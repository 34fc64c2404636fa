import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from clips import INFO, SIZE, examine, noisy, numbered, read_stamp, stamped

from stream.errors import UserError
from stream.frame import Frame
from stream.media import open_sink, open_source
from stream.media.partial import PartialFile, partial_path


def test_ctrl_c_leaves_a_finished_file(make_clip, tmp_path):
    clip = make_clip(frames=100, sound=["aac"])
    path = tmp_path / "o.mp4"
    with (
        pytest.raises(KeyboardInterrupt),
        open_source(str(clip)) as source,
        open_sink(str(path), source.info, source=str(clip)) as sink,
    ):
        for frame in source:
            sink.write(frame)
            if frame.index == 40:
                raise KeyboardInterrupt
    heard = examine(path)
    assert heard.stamps == list(range(41))
    assert heard.sound_end_s[0] == pytest.approx(41 / 25, abs=0.06)
    assert not partial_path(path).exists()


def test_a_camera_that_vanishes_leaves_a_finished_file(tmp_path):
    with pytest.raises(UserError, match="gone"), open_sink(str(tmp_path / "o.mp4"), INFO) as sink:
        for frame in numbered(10):
            sink.write(frame)
        raise UserError("gone", "b", "c")
    assert examine(tmp_path / "o.mp4").stamps == list(range(10))


def test_a_crash_of_the_program_leaves_the_old_output_and_a_part(tmp_path, caplog):
    path = tmp_path / "o.mp4"
    path.write_bytes(b"the old one")
    with pytest.raises(ZeroDivisionError), open_sink(str(path), INFO) as sink:
        for frame in numbered(10):
            sink.write(frame)
        raise ZeroDivisionError
    assert path.read_bytes() == b"the old one"
    assert examine(partial_path(path)).stamps == list(range(10))
    assert partial_path(path).name in caplog.text


_VICTIM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from clips import stamped
from stream.frame import Frame
from stream.media import StreamInfo, open_sink
info = StreamInfo(64, 48, 25.0)
sink = open_sink({path!r}, info, source={source!r})
for index in range(250):
    sink.write(Frame(stamped(index, (64, 48)), index, index / 25.0))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("sound", [False, True])
def test_a_killed_run_leaves_a_part_that_plays(make_clip, tmp_path, suffix, sound):
    path = tmp_path / f"o.{suffix}"
    source = str(make_clip(frames=250, sound=["aac"])) if sound else None
    code = textwrap.dedent(_VICTIM).format(
        tests=str(Path(__file__).parent), path=str(path), source=source
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    with open_source(str(partial_path(path))) as frames:
        stamps = [read_stamp(frame.pixels) for frame in frames]
    assert len(stamps) > 100
    assert stamps == list(range(len(stamps)))

    with open_sink(str(path), INFO) as sink:  # the next run overwrites the part
        for frame in numbered(5):
            sink.write(frame)
    assert examine(path).stamps == list(range(5))
    assert not partial_path(path).exists()


class FullDisk:
    """Stands in for the file underneath: it takes so many bytes and no more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[: self.room]
        self.room -= len(part)
        return self.file.write(part)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.fixture
def disks(monkeypatch):
    """Collect the FullDisk of every sink that is opened."""
    opened = []
    plain = PartialFile.__init__

    def shrunk(self, target):
        plain(self, target)
        self._file = FullDisk(self._file, 120_000)
        opened.append(self._file)

    monkeypatch.setattr(PartialFile, "__init__", shrunk)
    return opened


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_full_disk_is_said_and_the_part_plays(disks, tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    began = time.perf_counter()
    with pytest.raises(UserError) as caught, open_sink(str(path), INFO) as sink:
        for frame in noisy(5000):
            sink.write(frame)
    assert time.perf_counter() - began < 60
    error = caught.value
    assert str(path) in error.what
    assert "disk is full" in error.why
    assert "Free some space" in error.remedy
    assert str(partial_path(path)) in error.remedy
    assert not path.exists()
    with open_source(str(partial_path(path))) as frames:
        stamps = [read_stamp(frame.pixels) for frame in frames]
    assert len(stamps) > 30
    assert stamps == [index % 256 for index in range(len(stamps))]


def test_a_disk_that_fills_at_the_very_end_is_said_by_close(disks, tmp_path):
    sink = open_sink(str(tmp_path / "o.mp4"), INFO)
    disks[0].room = 10**9
    for frame in noisy(20):
        sink.write(frame)
    disks[0].room = 0  # the end of the file is still to be written
    with pytest.raises(UserError, match="disk is full"):
        sink.close()
    sink.close()


@pytest.mark.skipif(os.name == "nt", reason="there are no resource limits")
def test_a_real_refusal_of_the_system_is_said(tmp_path):
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.path.insert(0, {str(Path(__file__).parent)!r})
from clips import noisy, INFO
from stream.errors import UserError
from stream.media import open_sink
try:
    with open_sink({str(tmp_path / "o.mp4")!r}, INFO) as sink:
        for frame in noisy(2000):
            sink.write(frame)
except UserError as error:
    sys.exit(f"said: {{error}}")
"""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 1
    assert "said: Cannot write" in done.stderr
    assert "File too large" in done.stderr


def test_a_failing_encoder_comes_out_of_write_within_two_seconds(tmp_path, monkeypatch):
    sink = open_sink(str(tmp_path / "o.mp4"), INFO)

    def fail(frame):
        raise RuntimeError("the encoder broke")

    monkeypatch.setattr(sink._encoder, "encode", fail)
    began = time.perf_counter()
    with pytest.raises(RuntimeError, match="the encoder broke"), sink:
        for frame in numbered(50):
            sink.write(frame)
    assert time.perf_counter() - began < 2.0
    assert list(tmp_path.iterdir()) == []


def test_writing_after_the_end_is_a_mistake(tmp_path):
    with open_sink(str(tmp_path / "o.mp4"), INFO) as sink:
        sink.write(Frame(stamped(0, SIZE)))
    with pytest.raises(ValueError, match="closed"):
        sink.write(Frame(stamped(0, SIZE)))
