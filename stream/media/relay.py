"""SRT by way of the program ``ffmpeg``, where PyAV's own FFmpeg does not speak it.

The packages of PyAV come without SRT. Where the program is installed, it passes an MPEG transport
stream on, packet by packet as it is: from a pipe to the network, or the other way.
"""

import contextlib
import functools
import shutil
import subprocess
import tempfile
from typing import IO

import av

from stream.errors import UserError
from stream.media.specs import scheme_of

_END_S = 5.0
_AS_IT_IS = ("-map", "0", "-c", "copy", "-f", "mpegts")
_LINGER_S = "2"  # until the receiver has what was sent last
_SOON = ("-analyzeduration", "1000000")


class Relay:
    """The program at work, as a file to write into or to read from.

    Args:
        url: where it sends to, or receives from.
        sending: which of the two.
        timeout_s: after which silence it gives up receiving.

    Raises:
        UserError: the program is not installed.
    """

    def __init__(self, url: str, sending: bool, timeout_s: float = 0.0) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise UserError(
                f"Cannot {'send to' if sending else 'open'} {url}",
                "PyAV comes without SRT, and the program ffmpeg is not installed",
                "Install it (sudo apt-get install ffmpeg), or use udp:// or rtmp://.",
            )
        self._url, self._sending = url, sending
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open while it runs
        ends: tuple[str, ...] = (
            "-f",
            "mpegts",
            "-i",
            "pipe:0",
            *_AS_IT_IS,
            "-linger",
            _LINGER_S,
            url,
        )
        if not sending:
            silence_us = str(round(timeout_s * 1e6))
            ends = ("-timeout", silence_us, "-i", url, *_AS_IT_IS, "pipe:1")
        self._process = subprocess.Popen(  # noqa: S603 - a program of the system
            [program, "-loglevel", "error", *_SOON, *ends],
            stdin=subprocess.PIPE if sending else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if sending else subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the sink to hear, which then ends it
        )
        pipe = self._process.stdin if sending else self._process.stdout
        assert pipe is not None  # noqa: S101 - it was asked for
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        """Send; raises UserError where the program has given up."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._pipe.write(rest) :]
        except OSError:
            raise self.finish() or self._problem() from None
        return len(data)

    def read(self, size: int) -> bytes:
        """Receive up to so many bytes, none at the end."""
        return self._pipe.read(size)

    def finish(self) -> UserError | None:
        """Let it send what it holds, end it, and return what went wrong."""
        with contextlib.suppress(OSError):
            self._pipe.close()
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.stop()
            return None
        return self._problem() if code else None

    def stop(self) -> None:
        """End it at once; harmless when repeated, and from another thread."""
        self._process.kill()
        self._process.wait()

    def _problem(self) -> UserError:
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return UserError(
            f"Cannot {'send to' if self._sending else 'open'} {self._url}",
            lines[-1].removeprefix(f"{self._url}: ") if lines else "ffmpeg ended early",
            "Check the address, and that the other side is running and can be reached.",
        )


def relay_for(url: str, sending: bool, timeout_s: float = 0.0) -> Relay | None:
    """Return a relay where one is needed: for SRT, if PyAV's own FFmpeg does not speak it."""
    return Relay(url, sending, timeout_s) if scheme_of(url) == "srt" and not _speaks_srt() else None


@functools.cache
def _speaks_srt() -> bool:
    try:
        av.open("srt://").close()
    except av.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError, ValueError):
        pass  # it misses the port, and so knows the protocol
    return True
