"""Run the program as users do, or its path inside this process without coding losses."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import StreamInfo
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer

_PASSED_UNCHANGED = "passes unchanged"  # what the path logs when a stage fails


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a command cost.

    Attributes:
        stats: what it wrote as JSON, empty where it wrote nothing.
        peak_mb: largest resident memory of the process in MiB, None where the system does
            not tell.
        said: what it wrote on standard error.
    """

    stats: dict[str, Any]
    peak_mb: float | None
    said: str = ""


@contextmanager
def pinned(cores: int | None) -> Iterator[None]:
    """Bind this thread, and what it starts meanwhile, to its first `cores` processors.

    Raises:
        UserError: if there are fewer, or the system cannot bind.
    """
    if cores is None:
        yield
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("Cores cannot be chosen", "this system cannot bind", "Leave --cores out.")
    before = os.sched_getaffinity(0)
    if cores > len(before):
        raise UserError(
            f"{cores} cores were asked for", f"{len(before)} are there", "Ask for fewer."
        )
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_module(arguments: Sequence[str], stats: Path, cores: int | None = None) -> Run:
    """Run `python -m …` and return what it cost.

    Args:
        arguments: module and its arguments.
        stats: the JSON file that the command writes.
        cores: number of processors that it may use, all when None.

    Raises:
        UserError: if it fails; the end of its standard error says why.
    """
    with tempfile.TemporaryFile() as errors, pinned(cores):
        child = subprocess.Popen(  # noqa: S603  our own modules, without a shell
            [sys.executable, "-m", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        code, peak_mb = _wait(child)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
    if code != 0:
        raise UserError(f"`{' '.join(arguments)}` ended with code {code}", _gist(said), "Mend it.")
    return Run(json.loads(stats.read_text()) if stats.is_file() else {}, peak_mb, said)


def _gist(said: str) -> str:
    """Return the lines that tell most: a crash report's first ones, else the last ones."""
    lines = [line for line in said.splitlines() if line and "Extension modules" not in line]
    crash = [i for i, line in enumerate(lines) if line.startswith("Fatal Python error")]
    chosen = lines[crash[0] : crash[0] + 6] if crash else lines[-3:]
    return " / ".join(chosen)


def _wait(child: subprocess.Popen[bytes]) -> tuple[int, float | None]:
    if not hasattr(os, "wait4"):
        return child.wait(), None
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    per_mb = 1024**2 if sys.platform == "darwin" else 1024
    return child.returncode, usage.ru_maxrss / per_mb


def without(networks: Sequence[str], folder: Path) -> list[str]:
    """Write a config that switches networks off; return the arguments that name it."""
    path = folder / f"without_{'_'.join(networks)}.toml"
    path.write_text("[networks]\n" + "".join(f"{name} = false\n" for name in networks))
    return ["--config", str(path)]


def repose(
    source: Path, target: Path | str, arguments: Sequence[str], cores: int | None = None
) -> Run:
    """Run `voltface repose SOURCE TARGET ARGUMENTS…` and return its statistics.

    Raises:
        UserError: if it fails, or if it let frames pass because a stage failed: the figures
            would be those of a plain copy.
    """
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder) / "stats.json"
        command = ["stream", "repose", str(source), str(target), *arguments]
        ran = run_module([*command, "--quiet", "--stats", str(stats)], stats, cores)
    if _PASSED_UNCHANGED in ran.said:
        raise UserError(f"A stage failed on {source.name}", ran.said[-400:], "Mend the stage.")
    return ran


class _Complaints(logging.Handler):
    """Keeps what the live path logs as errors; it goes on with unchanged frames after them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


class InProcess:
    """The live path in this process, for pictures that no codec has touched."""

    def __init__(self, size: tuple[int, int], fps: float = 25.0) -> None:
        """Open the path.

        Args:
            size: (width, height) of the frames.
            fps: frames a second.
        """
        from stream.pipeline import Reposer  # noqa: PLC0415  loads the networks

        self._fps, self._index = fps, 0
        self._complaints = _Complaints()
        self.reposer = Reposer(Settings(quality="high"), StreamInfo(*size, fps), StageTimer())

    def __enter__(self) -> "InProcess":
        self.reposer.__enter__()
        logging.getLogger("voltface").addHandler(self._complaints)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logging.getLogger("voltface").removeHandler(self._complaints)
        self.reposer.__exit__(kind, error, trace)

    def process(self, pixels: np.ndarray, **request: Any) -> np.ndarray:  # noqa: ANN401
        """Re-pose the next RGB frame; keywords are those of `stream.pose.PoseRequest`.

        Raises:
            UserError: if a stage failed; the frame would come back unchanged.
        """
        frame = Frame(pixels, self._index, self._index / self._fps)
        self._index += 1
        out = self.reposer.process(frame, PoseRequest(**request)).pixels
        if self._complaints.said:
            raise UserError("A stage failed", self._complaints.said[0], "Mend the stage.")
        return out


def repose_frames(
    frames: Sequence[np.ndarray],
    fps: float = 25.0,
    **request: Any,  # noqa: ANN401
) -> list[np.ndarray]:
    """Take RGB frames through a fresh path, in order, with one request."""
    height, width = frames[0].shape[:2]
    with InProcess((width, height), fps) as path:
        return [path.process(frame, **request) for frame in frames]
