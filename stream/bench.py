"""``voltface bench``: speed and memory by stage, beside decoding and tracking alone."""

import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.demo import CLIP
from stream.media import open_source
from stream.media.specs import check_apart
from stream.pose import PoseRequest
from stream.session import Job, Outcome, input_json, perform
from stream.settings import Settings
from stream.stats import PROCESS_STARTED_S, Quantiles, check_writable, write_json
from stream.track import FaceTracker

_YAW_DEG = 20.0
_LIVE_FRAMES = 300  # a live input has no end of its own


@dataclass(frozen=True, slots=True)
class Floor:
    """What decoding and face tracking alone cost on the same input.

    Attributes:
        fps: frames a second.
        frame_ms: median and 95th percentile of the time per frame.
    """

    fps: float
    frame_ms: dict[str, float]


def run_bench(
    source: str | None,
    settings: Settings,
    json_path: Path | None,
    stats_path: Path | None,
    quiet: bool,
) -> int:
    """Turn the head of an input by 20° into nothing, measure, and print the figures.

    Args:
        source: the input; the clip that comes with voltface unless given.
        settings: of the path.
        json_path: where the figures go as JSON, too.
        stats_path: where the statistics of the run go.
        quiet: print nothing.

    Returns:
        0 done, 130 interrupted.

    Raises:
        UserError: if the input cannot be read or a file cannot be written.
    """
    if json_path:
        check_writable(json_path)
    spec = source or str(CLIP)
    check_apart((json_path, stats_path), (spec,))
    request = PoseRequest(yaw=_YAW_DEG)
    job = Job(spec, "null", settings, request, stats_path=stats_path, quiet=quiet)
    outcome = perform(replace(job, live_frames_max=_LIVE_FRAMES, started_s=PROCESS_STARTED_S))
    if outcome.stats.interrupted:
        return outcome.exit_code
    memory_mb = peak_memory_mb()
    figures = _figures(spec, outcome, memory_mb, measure_floor(spec, outcome.stats.frames_out))
    if json_path:
        write_json(json_path, figures)
    if not quiet:
        _show(figures)
    return outcome.exit_code


def measure_floor(spec: str, frames_max: int) -> Floor:
    """Decode and track an input, and nothing else.

    Args:
        spec: the input.
        frames_max: stop after so many frames, for inputs without an end.
    """
    times = Quantiles()
    count = 0
    with open_source(spec) as source, FaceTracker(still=source.info.still) as tracker:
        start_s = before_s = time.perf_counter()
        for frame in source:
            tracker.track(frame)
            now_s = time.perf_counter()
            times.add(now_s - before_s)
            before_s = now_s
            count += 1
            if count >= frames_max:
                break
        spent_s = time.perf_counter() - start_s
    return Floor(round(count / spent_s, 2) if spent_s > 0 else 0.0, times.in_ms())


def peak_memory_mb() -> float:
    """Return the most memory that this process and its largest helper have held so far, in MB.

    Helpers count when they have ended.
    """
    if sys.platform == "win32":
        return _peak_memory_windows_mb()
    import resource  # noqa: PLC0415  not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    both = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return round(sum(resource.getrusage(who).ru_maxrss for who in both) * unit / 1e6, 1)


def _peak_memory_windows_mb() -> float:
    """Ask Windows; of its struct only the size, first, and the peak, 8 bytes in, matter."""
    import ctypes  # noqa: PLC0415

    counters = (ctypes.c_size_t * 9)()
    counters[0] = ctypes.sizeof(counters)
    windll: Any = getattr(ctypes, "windll")  # noqa: B009  absent elsewhere
    process = ctypes.c_void_p(-1)  # this one
    windll.psapi.GetProcessMemoryInfo(process, ctypes.byref(counters), counters[0])
    return round(counters[1] / 1e6, 1)


def _figures(spec: str, outcome: Outcome, memory_mb: float, floor: Floor) -> dict[str, Any]:
    stats, info = outcome.stats, outcome.info
    content = stats.as_json(input_json(info))
    return {
        "name": "demo clip" if spec == str(CLIP) else spec,
        **content,
        "peak_memory_mb": memory_mb,
        "floor": asdict(floor),
        "system": {
            "cpu_count": usable_cpus(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        },
    }


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _show(figures: dict[str, Any]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    size = figures["input"]
    table = Table("stage", "p50 ms", "p95 ms", title=f"{figures['name']}, {_size(size)}")
    for name, times in figures["stages"].items():
        table.add_row(name, f"{times['p50']:.2f}", f"{times['p95']:.2f}")
    latency, floor = figures["latency_ms"], figures["floor"]
    table.add_section()
    table.add_row("capture to sink", f"{latency['p50']:.2f}", f"{latency['p95']:.2f}")
    times = floor["frame_ms"]
    table.add_row("floor: decode + track alone", f"{times['p50']:.2f}", f"{times['p95']:.2f}")
    console.print(table)
    console.print(f"frames a second      {figures['fps']:.1f}   (floor: {floor['fps']:.1f})")
    console.print(f"first frame after    {figures['first_frame_s']:.2f} s")
    console.print(f"peak memory          {figures['peak_memory_mb']:.0f} MB")
    console.print(f"processors           {figures['system']['cpu_count']}")
    for network, engine in figures["engines"].items():
        words = ", ".join(f"{key} {value}" for key, value in engine.items())
        console.print(f"network {network:<12} {words}")


def _size(size: dict[str, Any]) -> str:
    rate = f" at {size['fps']:g} frames a second" if size["fps"] else ""
    return f"{size['width']}x{size['height']}{rate}"
