"""The program run from outside, as a user runs it."""

import subprocess
import sys

import cv2
import numpy as np


def voltface(*arguments, cwd=None, **options):
    """Run the program to its end."""
    command = [sys.executable, "-m", "stream", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=cwd, **options
    )


def why_refused(result):
    """Return the one message of a refusal, or nothing if the program did not end with one."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    one = len(lines) == 1 and lines[0].startswith("voltface: ")
    return lines[0] if result.returncode == 2 and one else ""


def noise(width, height, seed=0):
    """Return a picture in which there is no face."""
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 16 + 1, width // 16 + 1, 3))
    return cv2.resize(coarse.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
