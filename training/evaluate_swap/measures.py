"""What is measured of a swapped clip: points, mouth, steadiness, seams.

Everything compares the output with the input; distances are shares of the distance between the
outer corners of the eyes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from stream.swap.compose import Laid
from training.evaluate_repose.faces import interocular

_SKIN_POINTS = 468
_LIPS = (13, 14)
_BAND_PX = 2  # to either side of a blend edge
_EDGE = 127  # cover at which the edge lies
_BRIDGE = 0.1  # of the face's height: what parts the face by less is bridged
_LOOK = 0.04  # of the distance of the eyes: the patch whose mean is a point's colour
# Skin that neither lids, lips nor brows cross: cheeks, forehead, chin, nose.
_STEADY = np.array([4, 6, 9, 50, 101, 118, 151, 195, 199, 200, 280, 330, 347, 425, 205])


class Seam(NamedTuple):
    """Mean steps in grey levels a pixel.

    Attributes:
        added: across the blend edge, of the difference between the output and what the face was
            laid on.
        changed: of the difference between output and input: also of outlines that were moved.
        output, input: across the blend edge, of each.
        inside: of the drawn face, mean over all directions.
    """

    added: float
    changed: float
    output: float
    input: float
    inside: float


def point_errors(before: Sequence[np.ndarray | None], after: Sequence[np.ndarray | None]) -> list:
    """Return the mean distance of the points of each pair of pictures, as a share."""
    errors = []
    for first, second in zip(before, after, strict=True):
        if first is not None and second is not None:
            apart = np.linalg.norm((first - second)[:_SKIN_POINTS, :2], axis=1)
            errors.append(float(apart.mean()) / interocular(first))
    return errors


def mouth_openings(points: Sequence[np.ndarray | None]) -> np.ndarray:
    """Return the distance of the lips in each picture, as a share; nan where no face is."""
    return np.array([
        np.nan if one is None
        else np.linalg.norm(one[_LIPS[0], :2] - one[_LIPS[1], :2]) / interocular(one)
        for one in points
    ])  # fmt: skip


def correlation(first: np.ndarray, second: np.ndarray, least: float = 0.02) -> float:
    """Return Pearson's correlation of two courses; nan where the first hardly changes."""
    good = np.isfinite(first) & np.isfinite(second)
    if good.sum() < 5 or np.ptp(first[good]) < least:
        return float("nan")
    return float(np.corrcoef(first[good], second[good])[0, 1])


def jerk(courses: np.ndarray) -> float:
    """Return the mean second difference of (T, …, C) courses in time: what flickers.

    Frames with nan are left out.
    """
    second = courses[2:] - 2 * courses[1:-1] + courses[:-2]
    length = np.linalg.norm(second, axis=-1)
    return float(np.nanmean(length)) if np.isfinite(length).any() else float("nan")


def point_courses(points: Sequence[np.ndarray | None]) -> np.ndarray:
    """Return (T, 468, 2) points as shares of the clip's mean eye distance; nan where no face is.

    One distance for the whole clip: by that of each frame, its own noise would count as often as
    it fits between the face and the corner of the picture.
    """
    seen = [interocular(one) for one in points if one is not None]
    unit = float(np.mean(seen)) if seen else np.nan
    empty = np.full((_SKIN_POINTS, 2), np.nan)
    return np.stack([empty if p is None else p[:_SKIN_POINTS, :2] / unit for p in points])


def colour_courses(
    pictures: Sequence[np.ndarray], points: Sequence[np.ndarray | None]
) -> np.ndarray:
    """Return (T, N, 3) mean colours around steady points; nan where no face is.

    Args:
        pictures: RGB.
        points: of the input in both cases, so that the same places are looked at.
    """
    rows = []
    for picture, found in zip(pictures, points, strict=True):
        if found is None:
            rows.append(np.full((len(_STEADY), 3), np.nan))
            continue
        blurred = cv2.GaussianBlur(picture, (0, 0), max(0.5, _LOOK * interocular(found)))
        at = np.round(found[_STEADY, :2] - 0.5).astype(int)
        at = np.clip(at, 0, [picture.shape[1] - 1, picture.shape[0] - 1])
        rows.append(blurred[at[:, 1], at[:, 0]].astype(np.float64))
    return np.stack(rows)


def seam_steps(before: np.ndarray, after: np.ndarray, face: Laid) -> Seam:
    """Measure the outer blend edge of a swapped face.

    Jaw, hair and collar are edges of the picture itself, and lie where the blend edge does. What
    the blend adds is the step of the difference between the output and what is under the face.
    Frames of glasses that part a face are edges of their own, and are bridged.

    Args:
        before: RGB, the input.
        after: the output.
        face: what was laid there.
    """
    old, new = (np.ascontiguousarray(face.region.crop(each)) for each in (before, after))
    old, new, under = (_slopes(each) for each in (old, new, face.under))
    outline = _filled(face.cover > _EDGE)
    soft = cv2.GaussianBlur(outline.astype(np.float32), (0, 0), 3)
    across = np.stack([cv2.Sobel(soft, cv2.CV_32F, dx, dy) for dx, dy in ((1, 0), (0, 1))])
    across /= np.maximum(np.hypot(*across), 1e-6)
    size = np.ones((2 * _BAND_PX + 1,) * 2, np.uint8)
    band = cv2.dilate(outline, size) - cv2.erode(outline, size) > 0
    whole = cv2.erode((face.cover > _EDGE).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0

    def step(slopes: np.ndarray) -> float:
        return float(np.abs((slopes * across).sum(axis=0)[band]).mean())

    # The mean over all directions of the step across one is 2 / π of the slope.
    inside = float(np.hypot(*new)[whole].mean()) * 2 / np.pi
    return Seam(step(new - under), step(new - old), step(new), step(old), inside)


def _slopes(picture: np.ndarray) -> np.ndarray:
    """Return (2, h, w) grey levels a pixel along x and y."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.stack(
        [cv2.Sobel(grey, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1))]
    )


def _filled(mask: np.ndarray) -> np.ndarray:
    """Return (h, w) uint8, 1 inside of the outer contours of a mask: without eyes and mouth."""
    reach = max(1, round(_BRIDGE * max(mask.shape) / 2))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), *(reach,) * 4, cv2.BORDER_CONSTANT, value=0)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    joined = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, around)[reach:-reach, reach:-reach]
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(out, contours, -1, 1, cv2.FILLED)
    return out
