"""Speed of the swap to `null`, beside decoding and Face Mesh alone in the same run."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from stream.errors import UserError
from training.evaluate_repose import program, report
from training.evaluate_repose.options import Clips
from training.evaluate_repose.speed import measure_floor, stage_rows

_FAILED = "passes unchanged"


def swap(clip: Path, target: str, arguments: Sequence[str], cores: int | None) -> program.Run:
    """Run `voltface swap CLIP TARGET ARGUMENTS…` and return what it cost.

    Raises:
        UserError: if it fails, or a stage did.
    """
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder) / "stats.json"
        command = ["stream", "swap", str(clip), target, *arguments, "--quiet", "--stats"]
        ran = program.run_module([*command, str(stats)], stats, cores)
    if _FAILED in ran.said:
        raise UserError(f"A stage failed on {clip.name}", ran.said[-400:], "Mend the stage")
    return ran


def run(
    clips: Clips,
    source: Annotated[Path, arg(metavar="IMAGE")],
    cores: int | None = 2,
    faces: str = "largest",
    method: str = "mesh",
    repeat: int = 1,
    stages: bool = False,
    json: Path | None = None,
) -> None:
    """Measure frames a second to `null`, beside decode + Face Mesh on the same cores.

    Args:
        clips: clips to swap into.
        source: photo.
        cores: processors that the program may use.
        faces: `largest` or `all`.
        method: `mesh` or `affine`.
        repeat: measure so many times; every run is a row.
        stages: also print the time of each stage.
        json: write the table there.
    """
    arguments = ["--source", str(source), "--faces", faces, "--method", method]
    rows, parts = [], []
    jobs = [clip for clip in clips for _ in range(repeat)]
    for clip in report.progress(jobs, "speed", len(jobs)):
        floor, ran = measure_floor(clip, cores), swap(clip, "null", arguments, cores)
        stats, size = ran.stats, ran.stats["input"]
        rows.append({
            "clip": clip.name,
            "size": f"{size['width']}×{size['height']}",
            "faces": stats["faces_tracked"],
            "fps": float(stats["fps"]),
            "p50 ms": float(stats["latency_ms"]["p50"]),
            "p95 ms": float(stats["latency_ms"]["p95"]),
            "peak MB": ran.peak_mb,
            "first frame s": stats.get("first_frame_s"),
            "floor fps": float(floor.stats["fps"]),
        })  # fmt: skip
        parts += stage_rows(clip, stats)
    report.publish(rows, json, f"swap by {method}, {faces}, {cores} cores, to `null`")
    if stages:
        report.publish(parts, None, "stages")
