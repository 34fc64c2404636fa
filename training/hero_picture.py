"""Make the picture at the top of the README: ``python -m training.hero_picture``.

Two moments of the demo clip, each turned to one side, as it is, and turned to the other.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stream.demo import CLIP
from stream.media import open_source, read_picture, write_picture
from stream.pose import PoseRequest
from stream.session import Job, perform

MOMENTS_S = (1.4, 4.6)
YAWS_DEG = (-22.0, 0.0, 22.0)
_PART = (slice(0, 400), slice(90, 550))  # the part of the frame around the head


def moments(clip: Path, times_s: tuple[float, ...]) -> Iterator[np.ndarray]:
    """Yield the pixels of a clip's frames at these times, in seconds."""
    with open_source(str(clip)) as source:
        left_s = list(times_s)
        for frame in source:
            if left_s and frame.time_s >= left_s[0]:
                left_s.pop(0)
                yield frame.pixels


def turned_row(pixels: np.ndarray, yaws_deg: tuple[float, ...]) -> np.ndarray:
    """Return a picture turned by each angle, side by side: (h, w · len(yaws_deg), 3) uint8."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "in.png", Path(folder) / "out.png"
        write_picture(before, pixels)
        row = []
        for yaw_deg in yaws_deg:
            perform(Job(str(before), str(after), request=PoseRequest(yaw=yaw_deg), quiet=True))
            row.append(read_picture(after)[0][_PART])
    return np.hstack(row)


def main() -> None:
    """Write the picture where the README looks for it, or elsewhere."""
    default = Path(__file__).parents[1] / "docs" / "pictures" / "hero.jpg"
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=default)
    path: Path = parser.parse_args().output
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [turned_row(pixels, YAWS_DEG) for pixels in moments(CLIP, MOMENTS_S)]
    write_picture(path, np.vstack(rows))
    print(path)


if __name__ == "__main__":
    main()
