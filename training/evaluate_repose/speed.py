"""Speed and memory of the program, beside decoding and Face Mesh alone in the same run."""

import datetime
import json as json_module
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import mediapipe as mp
import numpy as np

from training.evaluate_repose import media, program, report
from training.evaluate_repose.options import Clips, OneClip


def floor(clip: OneClip, out: Path) -> None:
    """Decode a clip and track its face with Face Mesh, nothing else, and write times as JSON.

    Args:
        clip: the clip.
        out: JSON file: frames, fps, p50 and p95 in ms.
    """
    mesh = mp.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True)
    times_s = []
    before = time.perf_counter()
    for pixels in media.iterate_clip(clip):
        mesh.process(pixels)
        now = time.perf_counter()
        times_s.append(now - before)
        before = now
    settled = np.array(times_s[5:] or times_s)
    found = {
        "frames": len(times_s),
        "fps": float(1 / settled.mean()),
        "p50": float(np.percentile(settled, 50) * 1e3),
        "p95": float(np.percentile(settled, 95) * 1e3),
    }
    out.write_text(json_module.dumps(found))


def measure_floor(clip: Path, cores: int | None) -> program.Run:
    """Run `floor` in a process of its own, bound as the program is."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "floor.json"
        command = ["training.evaluate_repose", "floor", str(clip), "--out", str(out)]
        return program.run_module(command, out, cores)


def row(clip: Path, cores: int | None, arguments: Sequence[str]) -> dict[str, report.Value]:
    """Measure the floor, then the program to `null`, and return one row of the table."""
    base = measure_floor(clip, cores)
    ran = program.repose(clip, "null", arguments, cores)
    stats, latency = ran.stats, ran.stats["latency_ms"]
    width, height = stats["input"]["width"], stats["input"]["height"]
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "clip": clip.name,
        "size": f"{width}×{height}",
        "cores": cores,
        "fps": float(stats["fps"]),
        "p50 ms": float(latency["p50"]),
        "p95 ms": float(latency["p95"]),
        "peak MB": ran.peak_mb,
        "first frame s": stats.get("first_frame_s"),
        "floor fps": float(base.stats["fps"]),
        "floor p50 ms": float(base.stats["p50"]),
        "floor p95 ms": float(base.stats["p95"]),
        "dropped": int(stats["frames_dropped"]),
    }


def stage_rows(clip: Path, stats: dict[str, dict[str, dict[str, float]]]) -> list[report.Row]:
    """Return a row of p50 and p95 for each stage of a statistics file."""
    return [
        {"clip": clip.name, "stage": name, "p50 ms": float(t["p50"]), "p95 ms": float(t["p95"])}
        for name, t in stats.get("stages", {}).items()
    ]


def run(
    clips: Clips,
    cores: int | None = 2,
    yaw: float = 20.0,
    repeat: int = 1,
    stages: bool = False,
    json: Path | None = None,
) -> None:
    """Measure frames a second, latency and peak memory to `null`, beside decode + Face Mesh.

    Args:
        clips: clips to turn.
        cores: processors that the program may use.
        yaw: degrees added.
        repeat: measure so many times; every run is a row.
        stages: also print the stages of one further run for each clip.
        json: write the table there.
    """
    arguments = ["--yaw", f"{yaw:g}"]
    jobs = [clip for clip in clips for _ in range(repeat)]
    rows = [row(clip, cores, arguments) for clip in report.progress(jobs, "speed", len(jobs))]
    report.publish(rows, json, f"speed, `--yaw {yaw:g}` to `null`")
    if stages:
        for clip in clips:
            ran = program.repose(clip, "null", arguments, cores)
            report.publish(stage_rows(clip, ran.stats), None, clip.name)
