import shutil
import socket
import subprocess
import threading
import time

import av
import numpy as np
import pytest
from clips import read_stamp, stamped

from stream.errors import UserError
from stream.frame import Frame
from stream.media import SourceOptions, StreamInfo, open_sink, open_source

SIZE = (64, 48)
INFO = StreamInfo(width=64, height=48, fps=25.0)
PATIENT = SourceOptions(timeout_s=20.0)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Listener(threading.Thread):
    """Takes what a sink sends, with PyAV itself."""

    def __init__(self, url, form, wanted):
        super().__init__(daemon=True)
        self.url, self.form, self.wanted = url, form, wanted
        self.stamps, self.sounds, self.codecs, self.error = [], 0, [], None
        self.start()

    def run(self):
        try:
            self.listen()
        except Exception as error:  # noqa: BLE001 - told to the test
            self.error = error

    def listen(self):
        options = {"listen": "1"}
        # Without a timeout: its callback would wait for the interpreter's lock, which PyAV
        # holds while a sink in this process shakes hands.
        with av.open(self.url, format=self.form, options=options) as container:
            self.codecs = [s.codec_context.codec.canonical_name for s in container.streams]
            for packet in container.demux():
                if packet.stream.type == "audio":
                    self.sounds += packet.size > 0
                    continue
                for frame in packet.decode():
                    self.stamps.append(read_stamp(frame.to_ndarray(format="rgb24")))
                if len(self.stamps) >= self.wanted:
                    return


def ffmpeg_speaks_srt():
    if shutil.which("ffmpeg") is None:
        return False
    listed = subprocess.run(["ffmpeg", "-protocols"], capture_output=True, text=True, check=False)
    return "srt" in listed.stdout.split()


needs_srt = pytest.mark.skipif(not ffmpeg_speaks_srt(), reason="no program ffmpeg that speaks SRT")


@pytest.mark.parametrize("scheme", ["udp", pytest.param("srt", marks=needs_srt)])
def test_from_sink_to_source(scheme):
    url = f"{scheme}://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    listening = url if scheme == "udp" else f"{url}?mode=listener"
    stop = threading.Event()

    def send():
        with open_sink(url, INFO) as sink:
            for index in range(1000):
                if stop.is_set():
                    return
                sink.write(Frame(stamped(index % 256, SIZE), index, index / 25.0))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        with open_source(listening, options=PATIENT) as source:
            assert source.info.live
            assert (source.info.width, source.info.height) == SIZE
            frames = [frame for frame, _ in zip(source, range(20), strict=False)]
    finally:
        stop.set()
    sender.join(10.0)
    stamps = np.array([read_stamp(frame.pixels) for frame in frames])
    assert all(np.diff(stamps) > 0)
    assert all(np.diff([frame.time_s for frame in frames]) > 0)


def test_tcp_sends_pictures_and_sound_at_their_pace(make_clip):
    clip = make_clip(frames=50, sound=["aac"])
    port = free_port()
    listener = Listener(f"tcp://127.0.0.1:{port}", "mpegts", 50)
    time.sleep(0.3)
    began = time.perf_counter()
    with (
        open_source(str(clip)) as source,
        open_sink(f"tcp://127.0.0.1:{port}", source.info, source=str(clip)) as sink,
    ):
        for frame in source:
            sink.write(frame)
    assert time.perf_counter() - began > 1.8
    listener.join(10.0)
    assert listener.error is None
    assert listener.stamps == list(range(50))
    assert listener.codecs == ["h264", "aac"]
    assert listener.sounds > 20


def test_rtmp_sends_flv(make_clip):
    clip = make_clip("in.mkv", frames=30, sound=["pcm_s16le"])
    url = f"rtmp://127.0.0.1:{free_port()}/live/x"
    listener = Listener(url, "flv", 25)
    time.sleep(0.5)
    with (
        open_source(str(clip)) as source,
        open_sink(url, source.info, source=str(clip)) as sink,
    ):
        for frame in source:
            sink.write(frame)
    listener.join(10.0)
    assert listener.error is None
    assert listener.stamps[:20] == list(range(20))
    assert sorted(listener.codecs) == ["aac", "h264"]


@pytest.mark.parametrize("scheme", ["tcp", "rtmp"])
def test_a_receiver_that_is_not_there(scheme):
    began = time.perf_counter()
    with pytest.raises(UserError) as caught:
        open_sink(f"{scheme}://127.0.0.1:{free_port()}/x", INFO)
    assert time.perf_counter() - began < 5.0
    assert "Cannot send" in caught.value.what
    assert "receiver" in caught.value.remedy


def test_a_receiver_that_goes_away():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        info = StreamInfo(width=64, height=48, fps=25.0, live=True)
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        with pytest.raises(UserError, match="Cannot send"):
            sink = open_sink(f"tcp://127.0.0.1:{server.getsockname()[1]}", info)
            peer, _ = server.accept()
            peer.close()
            for index in range(3000):
                sink.write(Frame(np.roll(noise, index, 1), index, index / 25.0))
            sink.close()


def test_a_silent_sender_is_given_up():
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with pytest.raises(UserError, match="nothing came"):
        open_source(url, options=SourceOptions(timeout_s=0.5))


def test_a_stream_that_breaks_off_ends_the_source():
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"

    def send():
        with open_sink(url, INFO) as sink:
            for index in range(100):
                sink.write(Frame(stamped(index, SIZE), index, index / 25.0))

    threading.Thread(target=send, daemon=True).start()
    with (
        pytest.raises(UserError, match="broke off"),
        open_source(url, options=SourceOptions(timeout_s=2.0)) as source,
    ):
        for _ in source:
            pass


def test_leaving_a_live_stream_is_quick():
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    stop = threading.Event()

    def send():
        with open_sink(url, INFO) as sink:
            for index in range(200):
                if stop.is_set():
                    return
                sink.write(Frame(stamped(index, SIZE), index, index / 25.0))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    with open_source(url, options=PATIENT) as source:
        next(iter(source))
        stop.set()
        sender.join(10.0)
        time.sleep(0.3)  # the reader waits for what will never come
        began = time.perf_counter()
    assert time.perf_counter() - began < 2.0


@needs_srt
@pytest.mark.parametrize("opened", ["sink", "source"])
def test_srt_without_the_other_side_is_refused(opened):
    url = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with pytest.raises(UserError, match="the other side is running"):
        if opened == "source":
            open_source(url, options=PATIENT)
        else:
            with open_sink(url, INFO) as sink:
                sink.write(Frame(stamped(1, SIZE)))


@pytest.mark.parametrize("opened", ["sink", "source"])
def test_srt_without_the_program_that_relays_it_says_what_to_install(monkeypatch, opened):
    monkeypatch.setattr("stream.media.relay._speaks_srt", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match="install ffmpeg"):
        open_source("srt://127.0.0.1:9") if opened == "source" else open_sink(
            "srt://127.0.0.1:9", INFO
        )
