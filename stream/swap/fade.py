"""When a face cannot be shown: it fades to the plain frame, and back, within five frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stream.frame import Head

FRAMES = 5
_EYES = np.array([[33, 133], [362, 263]])
_ROOM = 0.75  # distances of the eyes from an eye to the frame's edge: surely enough
_BACK_DEGREES = 5.0  # a face must turn back so far before it returns
_HIDDEN, _SEEN_AGAIN = 0.6, 0.45  # share of the skin with something before it


class Fade:
    """How far one face is shown as swapped."""

    def __init__(self) -> None:
        self._level: float | None = None
        self._shown = True

    def __call__(self, turned_degrees: float, hidden: float, most_degrees: float) -> float:
        """Return the share for the next frame, 0…1.

        A face that begins in plain view is swapped at once, and so is one after a cut.

        Args:
            turned_degrees: between the face's direction and the camera.
            hidden: share of its skin that has something in front, or how far it is cut off.
            most_degrees: from which on a face cannot be shown.
        """
        if self._shown:
            self._shown = turned_degrees < most_degrees and hidden < _HIDDEN
        else:
            near = turned_degrees < most_degrees - _BACK_DEGREES
            self._shown = near and hidden < _SEEN_AGAIN
        goal = float(self._shown)
        if self._level is None:
            self._level = goal
        self._level += float(np.clip(goal - self._level, -1 / FRAMES, 1 / FRAMES))
        return self._level


def turned_degrees(head: Head) -> float:
    """Return the angle between the direction of a face and that to the camera."""
    rotation, place = head.camera_from_head[:3, :3], head.camera_from_head[:3, 3]
    cosine = rotation[:, 2] @ place / np.linalg.norm(place)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def cut_off(points_px: np.ndarray, size: tuple[int, int], eyes_px: float) -> float:
    """Return how far the frame's edge cuts a face off, 0…1.

    A tracker that sees no eye puts both into what is left of the face; so does one that sees no
    brows, though less.

    Args:
        points_px: (478, 2) tracked points.
        size: (width, height) of the frame.
        eyes_px: distance of the outer corners of the eyes.

    Returns:
        0 where either eye is well inside of the frame, 1 where neither is in it.
    """
    eyes = points_px[_EYES].mean(axis=1)
    inside = float(np.minimum(eyes, np.array(size) - eyes).min(axis=1).max())
    return float(np.clip(1 - inside / (_ROOM * eyes_px), 0, 1))
