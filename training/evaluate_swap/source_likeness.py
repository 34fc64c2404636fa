"""How well descriptors tell people apart: on people who do not exist, and on clips.

    python -m training.evaluate_swap.source_likeness [--data FOLDER] [--people N]

Held-out synthetic people are seen four times each, in other light, pose and expression. Of every
clip six frames are taken: one person, but also one light; different clips pass as different
people. Printed are the area under the curve (how often two pictures of one person score higher
than two of different people), the score that one in twenty pairs of different people exceeds,
and how many pairs of one person exceed it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

from stream.fit import HeadFitter
from stream.frame import Frame
from stream.head_model import load_head_model
from stream.swap.likeness import Likeness
from stream.swap.source_shape import residual_offset
from stream.track import FaceTracker
from training.evaluate_repose import media
from training.synthetic.dataset import VIEWS_PER_PERSON, Synthesiser

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE, _SEED, _FRAMES = 384, 9, 6
_SEVERAL_PEOPLE = ("fr_short_hamilton",)


class Describer:
    """Finds the largest face of a picture and describes it."""

    def __init__(self) -> None:
        self._tracker = FaceTracker(1, still=True)
        self._likeness = Likeness()

    def __call__(self, pixels: np.ndarray) -> np.ndarray | None:
        """Return the descriptor, or None where no face is found."""
        frame = Frame(np.ascontiguousarray(pixels))
        faces = self._tracker.track(frame)
        if not faces:
            return None
        model = load_head_model()
        head = HeadFitter(model).fit(faces[0], frame.size, 0.0)
        return self._likeness.describe(pixels, head, residual_offset(model, head, faces[0]))


def synthetic_pictures(data: Path, people: int) -> Iterator[tuple[str, np.ndarray]]:
    """Draw four pictures of each held-out person."""
    with Synthesiser(data, _SIZE) as synthesiser:
        for index in range(people * VIEWS_PER_PERSON):
            sample = synthesiser.sample(_SEED, index, held_out=True)
            yield str(index // VIEWS_PER_PERSON), sample.pixels


def clip_pictures(data: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Take six frames of each clip that shows one person."""
    for path in sorted((data / "dev_clips").iterdir()):
        if path.stem not in _SEVERAL_PEOPLE:
            frames = media.read_clip(path, 250).frames
            for index in np.linspace(0, len(frames) - 1, _FRAMES).astype(int).tolist():
                yield path.stem, frames[index]


def separation(descriptors: np.ndarray, who: np.ndarray) -> tuple[float, float, float]:
    """Return area under the curve, the score at 5 % false matches, true matches there."""
    scores = descriptors @ descriptors.T
    same = who[:, None] == who[None]
    pairs = np.triu(np.ones_like(same), 1)
    own, other = scores[same & pairs], np.sort(scores[~same & pairs])
    rank = (np.searchsorted(other, own) + np.searchsorted(other, own, side="right")) / 2
    limit = float(np.quantile(other, 0.95))
    return float(rank.mean() / len(other)), limit, float((own > limit).mean())


def main(data: Path = Path("../shared/data"), people: int = 40) -> None:
    """Print the table."""
    describe = Describer()
    sets = {"synthetic people": synthetic_pictures(data, people), "clips": clip_pictures(data)}
    for name, pictures in sets.items():
        found = [(who, describe(pixels)) for who, pixels in pictures]
        kept = [(who, row) for who, row in found if row is not None]
        area, limit, hits = separation(
            np.stack([row for _, row in kept]), np.array([who for who, _ in kept])
        )
        print(f"{name}: {len(kept)} of {len(found)} pictures; area under the curve {area:.3f}; ")
        print(f"  5 % of other pairs score above {limit:.2f}, {100 * hits:.0f} % of own pairs")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.evaluate_swap.source_likeness", description=__doc__)
