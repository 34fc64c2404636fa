"""Counts, times and what really ran: the file that ``--stats`` writes."""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import UserError

PROCESS_STARTED_S = time.perf_counter()
"""When this process started, as near as Python code can tell."""

_SHORTEST_S = 1e-6
_LOG_STEP = math.log(1.01)


class Quantiles:
    """Quantiles of durations, to one per cent, in little memory however long a stream runs.

    Durations fall into bins whose edges grow by one per cent.
    """

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Take in one duration in seconds."""
        self._bins[round(math.log(max(seconds, _SHORTEST_S) / _SHORTEST_S) / _LOG_STEP)] += 1

    def __len__(self) -> int:
        return self._bins.total()

    def at(self, share: float) -> float:
        """Return the duration in seconds that this share (0…1) of all stays at or below.

        It is 0 where nothing was taken in.
        """
        wanted = max(1, math.ceil(share * len(self)))
        seen = 0
        for index, count in sorted(self._bins.items()):
            seen += count
            if seen >= wanted:
                return _SHORTEST_S * math.exp(index * _LOG_STEP)
        return 0.0

    def in_ms(self) -> dict[str, float]:
        """Return the median and the 95th percentile in milliseconds."""
        return {"p50": round(self.at(0.5) * 1e3, 3), "p95": round(self.at(0.95) * 1e3, 3)}


class StageTimer:
    """Time spent in each stage, summed over one frame, as quantiles over frames.

    A stage that is entered several times in a frame (two faces) counts once with the sum;
    a frame in which a stage does not run leaves that stage's quantiles alone.
    """

    def __init__(self) -> None:
        self._frame_s: dict[str, float] = {}
        self._stages: dict[str, Quantiles] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the body of a ``with`` statement as part of a stage."""
        start_s = time.perf_counter()
        try:
            yield
        finally:
            spent_s = time.perf_counter() - start_s
            self._frame_s[name] = self._frame_s.get(name, 0.0) + spent_s

    def end_frame(self) -> None:
        """Close the sums of one frame."""
        frame_s, self._frame_s = self._frame_s, {}
        for name, spent_s in frame_s.items():
            self._stages.setdefault(name, Quantiles()).add(spent_s)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return ``{stage: {"p50": ms, "p95": ms}}`` in the order in which stages came."""
        return {name: quantiles.in_ms() for name, quantiles in self._stages.items()}


@dataclass(slots=True)
class Stats:
    """What happened in one run; filled by the loop, written once at the end.

    Attributes:
        timer: time per stage.
        latency: capture to sink, per frame.
        frames_in: frames that the source gave, those that it threw away included.
        frames_out: frames that reached the sink.
        frames_dropped: frames that a live source threw away for newer ones.
        start_s, end_s: ``time.perf_counter()`` around the loop.
        first_frame_s: from the start of the set-up to the first frame in the sink.
        faces_tracked: how many different faces were followed.
        engines: ``{network: {backend, device, precision}}`` as really executed.
        governor: changes of quality, in order.
        interrupted: whether the user stopped the run.
    """

    timer: StageTimer = field(default_factory=StageTimer)
    latency: Quantiles = field(default_factory=Quantiles)
    frames_in: int = 0
    frames_out: int = 0
    frames_dropped: int = 0
    setup_s: float = field(default_factory=time.perf_counter)
    start_s: float = 0.0
    end_s: float = 0.0
    first_frame_s: float = 0.0
    faces_tracked: int = 0
    engines: dict[str, dict[str, str]] = field(default_factory=dict)
    governor: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def seconds(self) -> float:
        """Wall time of the loop so far."""
        return max(0.0, (self.end_s or time.perf_counter()) - self.start_s)

    @property
    def fps(self) -> float:
        """Frames that reached the sink per second of wall time."""
        return self.frames_out / self.seconds if self.seconds > 0 else 0.0

    def frame_done(self, captured_s: float) -> None:
        """Count one frame that has just reached the sink."""
        now_s = time.perf_counter()
        if self.frames_out == 0:
            self.first_frame_s = now_s - self.setup_s
        self.frames_out += 1
        self.latency.add(now_s - captured_s)
        self.timer.end_frame()

    def as_json(self, source: Mapping[str, float | None]) -> dict[str, Any]:
        """Return what ``--stats`` writes.

        Args:
            source: width, height and fps of the input.
        """
        return {
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "frames_dropped": self.frames_dropped,
            "seconds": round(self.seconds, 4),
            "fps": round(self.fps, 3),
            "latency_ms": self.latency.in_ms(),
            "stages": self.timer.summary(),
            "engines": self.engines,
            "faces_tracked": self.faces_tracked,
            "input": dict(source),
            "first_frame_s": round(self.first_frame_s, 3),
            "governor": self.governor,
            "interrupted": self.interrupted,
        }


def check_writable(path: Path) -> None:
    """Refuse a statistics file that could not be written, before any frame is spent on it.

    Raises:
        UserError: if the folder does not exist or the path is a folder.
    """
    what = f"cannot write the statistics to {path}"
    if path.is_dir():
        raise UserError(what, "it is a folder", "Give --stats the name of a file")
    if not path.absolute().parent.is_dir():
        why = f"the folder {path.parent} does not exist"
        raise UserError(what, why, "Make the folder or give another name")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON for people and programs to read.

    Raises:
        UserError: if the file cannot be written.
    """
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        why = error.strerror or "the system refused"
        remedy = "Give another name or free the disk"
        raise UserError(f"cannot write {path}", why, remedy) from error
