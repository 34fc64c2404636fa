"""Lays a drawn face into a frame: soft edge, holes for eyes and mouth, colours that match.

All that is found from colours is carried from frame to frame, for a face that flickers is seen
sooner than one whose tint is a little off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.fill import pull_push
from stream.keypoint_mesh import EYES, INNER_LIPS

if TYPE_CHECKING:
    from stream.affine_settings import AffineSettings

_SHARE = 0.12  # of a new frame in what is remembered of colours
_DARK = 8.0  # grey levels that damp the logarithm of dark colours
_INSIDE, _LEAST_COMPARED = 230, 16  # of 255: opacity of what is compared; pixels, of every 16
_SPREADS = (0.6, 1.3)  # bounds of the ratio of contrasts
_CALM = 0.05  # of the spread of logarithms: a smooth face is no reason for more contrast
_GRID, _EVEN = 40, 3.0  # cells along a side in which light is compared, and evened out
_COVERED, _LEAST_CELL = 40, 0.05  # of 255: opacity of what is compared; least share of a cell
_MOST_OFF, _DOUBTFUL_OFF = 0.8, 0.4  # logarithm: hair over a forehead tells nothing of its light
_SUBPIXEL = 4
_HOLE_BLUR = 0.25  # of the edge


def face_side(points_px: np.ndarray) -> float:
    """Return the size of a face: the longer side of the box around its points, pixels."""
    return float(np.ptp(points_px[:, :2], axis=0).max())


def soft_mask(drawn: np.ndarray, points: np.ndarray, settings: AffineSettings) -> np.ndarray:
    """Return how far a drawn face covers what is below it.

    Args:
        drawn: (h, w) uint8 opacity of the face that was drawn.
        points: (478, 2) of the face below, pixels of the same region.
        settings: edge and features are used.

    Returns:
        (h, w) uint8 opacity: soft at the edge, inside of what was drawn, with holes for what is
        kept of the face below.
    """
    width = max(settings.edge * face_side(points), 2.0)
    half = cv2.resize(drawn, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    half = cv2.copyMakeBorder(half, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    away = cv2.distanceTransform((half > 20).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    share = np.clip(away / (width / 2), 0, 1)
    whole = (255 * share * share * (3 - 2 * share)).astype(np.uint8)
    size = (drawn.shape[1], drawn.shape[0])
    whole = cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR)
    whole = cv2.multiply(whole, drawn, scale=1 / 255)
    if settings.features == "source":
        return whole
    kept = np.zeros_like(drawn)
    for contour in (*EYES, INNER_LIPS):
        corners = np.rint((points[list(contour)] - 0.5) * 2**_SUBPIXEL).astype(np.int32)
        cv2.fillPoly(kept, [corners], 255, cv2.LINE_AA, _SUBPIXEL)
    blur = 2 * round(_HOLE_BLUR * width / 2) + 1
    kept = cv2.blur(kept, (blur, blur))
    return cv2.multiply(whole, cv2.bitwise_not(kept), scale=1 / 255)


class ToneMatch:
    """Gives one pasted face the colours of the face below it, steadily over time.

    Colours are compared as logarithms, in which light is a shift: the mean of each channel and
    the spread of the grey level are matched over the face (after Reinhard et al. 2001). What
    differs after that in parts as large as a cheek is evened out, so that light falls from where
    it falls on the other face, and no seam is left.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the past, as at a cut."""
        self._moments: np.ndarray | None = None
        self._light: np.ndarray | None = None

    def __call__(
        self, drawn: np.ndarray, below: np.ndarray, mask: np.ndarray, strength: float
    ) -> np.ndarray:
        """Return the drawn face in the other one's colours.

        Args:
            drawn: (h, w, 3) uint8 RGB.
            below: (h, w, 3) uint8 RGB, the frame there.
            mask: (h, w) uint8, how far the first covers the second.
            strength: 0…1.

        Returns:
            (h, w, 3) uint8; as it came where nothing can be compared.
        """
        inside = mask[::4, ::4] > _INSIDE
        if strength > 0 and inside.sum() >= _LEAST_COMPARED:
            found = np.stack([_moments(one[::4, ::4][inside]) for one in (drawn, below)])
            self._moments = _followed(self._moments, found)
        if strength <= 0 or self._moments is None:
            return drawn
        matched = cv2.LUT(drawn, _table(self._moments, strength))
        gain = np.exp(strength * self._light_ratio(matched, below, mask))
        gain = cv2.resize(gain, (drawn.shape[1], drawn.shape[0]), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(matched, gain, dtype=cv2.CV_8U)

    def _light_ratio(self, drawn: np.ndarray, below: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the smooth change of light: (_GRID, _GRID, 3) float32 logarithms."""
        covered = cv2.inRange(mask, _COVERED, 255)
        weight = _small(covered) / 255
        apart = [
            np.log(_small(cv2.copyTo(one, covered)) / np.maximum(weight, 1e-3)[..., None] + _DARK)
            for one in (below, drawn)
        ]
        ratio = apart[0] - apart[1]
        off = np.abs(ratio).max(axis=-1)
        trust = (weight > _LEAST_CELL) * np.clip((_MOST_OFF - off) / _DOUBTFUL_OFF, 0, 1)
        if trust.max() > 0:
            ratio = cv2.GaussianBlur(pull_push(ratio, trust.astype(np.float32)), (0, 0), _EVEN)
            self._light = _followed(self._light, ratio)
        return np.zeros_like(ratio) if self._light is None else self._light


def _small(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)


def _moments(colours: np.ndarray) -> np.ndarray:
    """(4,): mean logarithm of each channel of (n, 3) colours, and the spread of the grey level."""
    logs = np.log(colours + np.float32(_DARK))
    return np.append(logs.mean(axis=0), logs.mean(axis=1).std())


def _followed(last: np.ndarray | None, now: np.ndarray) -> np.ndarray:
    return now if last is None else (last + _SHARE * (now - last)).astype(now.dtype)


def _table(moments: np.ndarray, strength: float) -> np.ndarray:
    """(1, 256, 3) uint8: what becomes of each value of each channel."""
    (mean, spread), (wanted, wanted_spread) = ((one[:3], one[3]) for one in moments)
    ratio = float(np.clip((wanted_spread + _CALM) / (spread + _CALM), *_SPREADS))
    logs = np.log(np.arange(256.0)[:, None] + _DARK)
    moved = logs + strength * ((logs - mean) * ratio + wanted - logs)
    return np.rint(np.exp(moved) - _DARK).clip(0, 255).astype(np.uint8)[None]


def lay_face(
    below: np.ndarray, drawn: np.ndarray, points: np.ndarray, tone: ToneMatch,
    settings: AffineSettings, share: float = 1.0, hidden: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Lay a drawn face over its region, in the colours of the face below it.

    Args:
        below: (h, w, 3) uint8 RGB, the frame there.
        drawn: (h, w, 4) uint8, see `FaceDrawer.draw`.
        points: (478, 2) of the face below, pixels of the region.
        tone: of this face.
        settings: see AffineSettings.
        share: opacity of the face, 0…1.
        hidden: (h, w) uint8, 255 where something lies before the face below, and stays there.

    Returns:
        (h, w, 3) uint8, and the (h, w) uint8 opacity that it was laid with.
    """
    mask = soft_mask(np.ascontiguousarray(drawn[..., 3]), points, settings)
    if hidden is not None:
        mask = cv2.multiply(mask, cv2.bitwise_not(hidden), scale=1 / 255)
    face = tone(cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB), below, mask, settings.tone)
    return laid_over(below, face, mask, share), mask


def laid_over(below: np.ndarray, face: np.ndarray, mask: np.ndarray, share: float) -> np.ndarray:
    """Return a face laid over a picture.

    Args:
        below: (h, w, 3) uint8.
        face: (h, w, 3) uint8.
        mask: (h, w) uint8 opacity of the face.
        share: by which the opacity is multiplied, 0…1.
    """
    opacity = cv2.multiply(mask, share / 255.0, dtype=cv2.CV_32F)
    return cv2.blendLinear(face, below, opacity, 1 - opacity)
