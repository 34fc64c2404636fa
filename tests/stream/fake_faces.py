"""A mesh network that sees made-up people, so that tracking is tested without pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stream.face_mesh import Mesh, Roi, roi_from_points
from stream.frame import Frame
from stream.head_model import load_head_model

Path = Callable[[int], tuple[float, float] | None]  # frame → middle of the face, None when away


@dataclass(frozen=True)
class Person:
    """Someone with a face of their own; the first in a list stands in front."""

    path: Path
    seed: int = 0
    scale: float = 0.5  # pixels a millimetre
    noise_px: float = 0.2

    def look(self) -> np.ndarray:
        rng = np.random.default_rng(1000 + self.seed)
        return rng.uniform(20, 230, (8, 8, 3)).astype(np.float32)

    def points_px(self, index: int) -> np.ndarray | None:
        place = self.path(index)
        if place is None:
            return None
        model, rng = load_head_model(), np.random.default_rng(self.seed)
        count = model.points478_identity.shape[0]
        points = self.scale * model.points478(2 * rng.normal(size=count).astype(np.float32))
        points -= points.mean(axis=0)
        points[:, :2] += place
        jitter = np.random.default_rng([self.seed, index]).normal(0, self.noise_px, points.shape)
        return (points + jitter).astype(np.float32)


class FakeNet:
    """Answers as FaceNet does, about the frame whose number is in `index`."""

    def __init__(self, people: list[Person]) -> None:
        self.people, self.index = people, 0
        self.searches = 0
        self.closed = False
        self.as_stats = {"face_mesh": {"backend": "made up"}}

    def _visible(self) -> list[tuple[Person, np.ndarray]]:
        seen: list[tuple[Person, np.ndarray]] = []
        for person in self.people:
            points = person.points_px(self.index)
            hidden = points is None or any(
                np.linalg.norm((points - other)[:, :2].mean(axis=0)) < 60 * person.scale
                for _, other in seen
            )
            if not hidden:
                seen.append((person, points))
        return seen

    def mesh(self, pixels: np.ndarray, roi: Roi) -> Mesh | None:
        """See the visible face nearest to the middle of the region."""
        near = [
            (np.hypot(*(points[:, :2].mean(axis=0) - (roi.x, roi.y))), person, points)
            for person, points in self._visible()
        ]
        near = [one for one in near if one[0] < 0.35 * roi.side]
        if not near:
            return None
        _, person, points = min(near, key=lambda one: one[0])
        return Mesh(points, 0.99, person.look())

    def detect(self, pixels: np.ndarray, *, far: bool) -> list[Roi]:
        """Find every visible face."""
        self.searches += 1
        return [roi_from_points(points) for _, points in self._visible()]

    def close(self) -> None:
        """Note that the tracker let go."""
        self.closed = True


def blank_frame(index: int, size: tuple[int, int] = (640, 360)) -> Frame:
    """A frame without a picture: the cut detector passes it over."""
    return Frame(np.zeros((size[1], size[0], 3), np.uint8), index, index / 30)
