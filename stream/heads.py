"""Where the heads of a frame are: tracking and fitting, with what the network sees in a face."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stream.closing import Closing
from stream.face_looks import FaceLooks
from stream.fit import HeadFitter
from stream.frame import Frame
from stream.track import FaceTracker

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from stream.face_3dmm import FaceGuess, Network
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.settings import Settings

_MOST_FACES = 4


class FaceFollower(Closing):
    """Follows the faces of a stream, and counts them.

    Args:
        settings: of the path; `engine`, `faces` and `track` are used.
        still: the stream is one picture.

    Attributes:
        cut: whether the last frame began a new scene; all faces are new then.
        last_faces: how many faces the last frame held.
    """

    def __init__(self, settings: Settings, *, still: bool = False) -> None:
        most = _MOST_FACES if settings.faces == "all" else 1
        self._tracker = FaceTracker(most, settings.track, still=still, engine=settings.engine)
        self._ids: set[int] = set()
        self.cut = False
        self.last_faces = 0

    def close(self) -> None:
        """Give back the tracker's networks."""
        self._tracker.close()

    @property
    def as_stats(self) -> dict[str, dict[str, str]]:
        """What ``--stats`` says of the tracker's networks."""
        return self._tracker.as_stats

    @property
    def faces_tracked(self) -> int:
        """How many different faces were followed so far."""
        return len(self._ids)

    def track(self, frame: Frame) -> list[Face]:
        """Find the faces of the next frame, with their identities."""
        faces = self._tracker.track(frame)
        self.cut = self._tracker.cut
        if self.cut:
            self.reset()
        self._ids.update(face.id for face in faces)
        self.last_faces = len(faces)
        return faces

    def reset(self) -> None:
        """Forget what is known of every face."""


class HeadFinder(FaceFollower):
    """Follows the faces of a stream and fits the head model to each.

    Args:
        model: the head model.
        settings: of the path; `engine`, `faces`, `track` and `fit` are used.
        network: `face_3dmm`, or None.
        beside: where the network looks when nobody waits for it.
        still: the stream is one picture.
    """

    def __init__(
        self,
        model: HeadModel,
        settings: Settings,
        network: Network | None,
        beside: Executor,
        *,
        still: bool = False,
    ) -> None:
        super().__init__(settings, still=still)
        self._fitter = HeadFitter(model, settings.fit)
        self._looks = FaceLooks(network, beside)

    def fit(self, frame: Frame, faces: list[Face]) -> list[Head]:
        """Fit a head to each face that `track` found in a frame, in the same order."""
        news = self._looks.update(frame, faces)
        heads = [
            self._fitter.fit(face, frame.size, frame.time_s, news.get(face.id)) for face in faces
        ]
        self._looks.look_ahead(frame, faces)
        return heads

    def fit_as(self, face_id: int, face: Face, frame_size: tuple[int, int]) -> Head:
        """Fit another picture's face as a face that is followed; see `HeadFitter.fit_as`."""
        return self._fitter.fit_as(face_id, face, frame_size)

    def guess(self, face_id: int) -> FaceGuess | None:
        """Return what the network saw of a face so far: identity, skin, light."""
        return self._looks.guess(face_id)

    def reset(self) -> None:
        """Forget what is known of every face."""
        self._fitter.reset()
        self._looks.reset()


def face_of_picture(pixels: np.ndarray, frame_size: tuple[int, int]) -> Face | None:
    """Find the largest face of a picture that the camera of a stream took.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        frame_size: (width, height) of the stream's frames, in whose pixels the points are given.
    """
    with FaceTracker(1, still=True) as tracker:
        faces = tracker.track(Frame(pixels))
    if not faces:
        return None
    scale = np.float32(max(frame_size) / max(pixels.shape[:2]))
    return replace(faces[0], points_px=faces[0].points_px * scale)
