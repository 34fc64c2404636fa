"""How far a run has come, on standard error: a bar on a terminal, now and then a line else."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stream.stats import Stats

_BAR_EVERY_S = 0.2
_LINE_EVERY_S = 5.0


class ProgressReport:
    """Shows frames, frames a second and the time that is left.

    Nothing is drawn from another thread, so the report costs the path nothing between its
    updates.

    Args:
        frames_total: frames of the input, 0 where that is not known (live).
        quiet: show nothing.
        console: where to draw; standard error unless given.
    """

    def __init__(
        self, frames_total: int = 0, quiet: bool = False, console: Console | None = None
    ) -> None:
        self._total = frames_total
        self._quiet = quiet
        self._console = console or Console(file=sys.stderr)
        self._next_s = 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> "ProgressReport":
        if self._console.is_terminal and not self._quiet:
            self._bar = Progress(
                TextColumn("{task.completed} frames"),
                BarColumn(),
                TextColumn("{task.fields[fps]:.1f} fps"),
                TimeRemainingColumn(),
                console=self._console,
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("frames", total=self._total or None, fps=0.0)
            self._bar.start()
        self._next_s = time.perf_counter() + (_BAR_EVERY_S if self._bar else _LINE_EVERY_S)
        return self

    def update(self, stats: Stats) -> None:
        """Show the counts, if enough time has passed since the last time."""
        now_s = time.perf_counter()
        if self._quiet or now_s < self._next_s:
            return
        if self._bar:
            self._next_s = now_s + _BAR_EVERY_S
            self._bar.update(self._task, completed=stats.frames_out, fps=stats.fps, refresh=True)
        else:
            self._next_s = now_s + _LINE_EVERY_S
            self._console.print(self._line(stats), highlight=False, soft_wrap=True)

    def _line(self, stats: Stats) -> str:
        if not self._total:
            return f"{stats.frames_out} frames, {stats.fps:.1f} fps"
        left_s = max(0, self._total - stats.frames_out) / stats.fps if stats.fps else 0.0
        counts = f"{stats.frames_out} of {self._total} frames"
        return f"{counts}, {stats.fps:.1f} fps, {left_s:.0f} s left"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()
