"""What is seen through the openings of a moved face: eyeballs, and the inside of the mouth.

Each is a picture in the photo's own pixels, larger than the opening: the photo where it shows
the inside, and a guess around it. So at rest the openings show the photo itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.fill import pull_push
from stream.nearest import Nearest
from stream.puppet.painted import MouthLook, MouthPart, painted_mouth
from stream.region import Region

if TYPE_CHECKING:
    from stream.puppet.topology import Opening

_EYE_MARGIN = (0.35, 0.55)  # of the eye's width, to the sides, above and below
_FINE = 4  # the cover of an opening is drawn so many times larger
_MOUTH_MARGIN = (0.2, 0.6, 1.3)  # of its width: to the sides, above, below
_LIP_EDGE, _DARKER = 0.012, 0.6  # of its width, what mixes with the lips; of the light, lost
_SMEAR = 0.035  # of its width: so far the photo's own inside is continued
_EDGE_OF_TEETH = 0.35  # of that, over which it ends
_AROUND = (0.1, 0.2, 0.2)  # an opening, of its width: to look at what is in it
_WHITE_PX, _WHITE_SHARE = 12, 0.5  # pixels of an eye's white at least; the brighter ones are it
_TEETH_SHARE = 0.25  # of what is seen of a mouth, at least: else teeth are not seen
_TEETH_BRIGHT, _TEETH_RED = 0.7, 0.14  # over the skin's brightness; (r − g) / (r + g) at most
_LIP_RED, _LIP_RIM = 0.06, 0.05  # beyond the usual redness: some lip; of the width: looked at


def eye_picture(
    pixels: np.ndarray, opening_px: np.ndarray, iris_px: np.ndarray
) -> tuple[np.ndarray, Region]:
    """Complete an eyeball behind its lids.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        opening_px: (N, 2) border of the opening, from corner around to the corner.
        iris_px: (5, 2) centre and border of the iris.

    Returns:
        (h, w, 4) uint8 and the region of the photo that it spans.
    """
    window = _window(pixels, opening_px, _EYE_MARGIN[0], _EYE_MARGIN[1], _EYE_MARGIN[1])
    crop = window.crop(pixels).astype(np.float32)
    corner = np.array([window.x0, window.y0])
    seen = _inside(opening_px - corner, (window.height, window.width))
    centre = iris_px[0] - corner
    radius = float(np.linalg.norm(iris_px[1:] - iris_px[0], axis=1).mean())
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    distance = np.hypot(x - centre[0], y - centre[1]).astype(np.float32)
    sure = cv2.erode(seen, np.ones((3, 3), np.uint8)) > 0.9
    white = (sure & (distance > 1.2 * radius)).astype(np.float32)
    ball = pull_push(crop, white if white.any() else sure.astype(np.float32))
    ball = cv2.GaussianBlur(ball, (0, 0), max(radius / 4, 0.5))
    iris = _whole_iris(crop, sure, distance, centre, radius)
    share = np.clip((1.05 * radius - distance) / max(0.2 * radius, 1.0) + 0.5, 0, 1)[..., None]
    hidden = ball + share * (iris - ball)
    out = hidden + cv2.blur(seen, (3, 3))[..., None] * (crop - hidden)
    out = np.where((seen > 0.9)[..., None], crop, out)
    return _opaque(out), window


def _whole_iris(
    crop: np.ndarray, sure: np.ndarray, distance: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """Return (h, w, 3): hidden parts from the place opposite, or from the mean of their ring."""
    rings = np.minimum((distance / max(radius, 1e-3) * 8).astype(int), 15)
    counts = np.bincount(rings[sure], minlength=16)
    sums = [np.bincount(rings[sure], crop[..., c][sure], minlength=16) for c in range(3)]
    known = np.flatnonzero(counts)
    if len(known) == 0:
        return crop
    numbers = np.arange(16)
    profile = np.stack(
        [np.interp(numbers, known, total[known] / counts[known]) for total in sums], axis=1
    ).astype(np.float32)
    out = profile[rings]
    height, width = distance.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    opposite = np.float32(2 * centre[1] - 1) - y
    mirrored = cv2.remap(crop, x, opposite, cv2.INTER_LINEAR)
    valid = cv2.remap(sure.astype(np.float32), x, opposite, cv2.INTER_LINEAR)[..., None]
    out = out + 0.7 * valid * (mirrored - out)
    return np.where(sure[..., None], crop, out)


def eye_white(pixels: np.ndarray, opening_px: np.ndarray, iris_px: np.ndarray) -> np.ndarray | None:
    """Return (3,) colour of an eye's white, or None where too little of it shows.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        opening_px: (N, 2) border of the opening, around.
        iris_px: (5, 2) centre and border of the iris.
    """
    window = _window(pixels, opening_px, *_AROUND)
    corner = np.array([window.x0, window.y0])
    seen = _inside(opening_px - corner, (window.height, window.width))
    radius = float(np.linalg.norm(iris_px[1:] - iris_px[0], axis=1).mean())
    y, x = np.mgrid[: window.height, : window.width] + 0.5
    away = np.hypot(x - iris_px[0, 0] + corner[0], y - iris_px[0, 1] + corner[1])
    white = window.crop(pixels)[(seen > 0.9) & (away > 1.25 * radius)].astype(float)
    if len(white) < _WHITE_PX:
        return None
    light = white.sum(axis=1)
    return np.asarray(np.median(white[light >= np.quantile(light, _WHITE_SHARE)], axis=0))


def seen_teeth(pixels: np.ndarray, opening_px: np.ndarray, skin: np.ndarray) -> np.ndarray | None:
    """Return (3,) colour of the teeth that a photo shows between the lips, or None.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        opening_px: (N, 2) the border between the lips, around.
        skin: (3,) typical colour of the face.
    """
    window = _window(pixels, opening_px, *_AROUND)
    seen = _inside(opening_px - np.array([window.x0, window.y0]), (window.height, window.width))
    inner = window.crop(pixels)[seen > 0.9].astype(float)
    bright = inner.mean(axis=1) > _TEETH_BRIGHT * skin.mean()
    teeth = inner[bright & (_redness(inner) < max(_TEETH_RED, float(_redness(skin)) * 0.7))]
    if len(teeth) < max(_TEETH_SHARE * len(inner), _WHITE_PX):
        return None
    return np.asarray(np.median(teeth, axis=0))


def _redness(colours: np.ndarray) -> np.ndarray:
    red, green = colours[..., 0].astype(float), colours[..., 1].astype(float)
    return np.asarray((red - green) / np.maximum(red + green, 1.0))


def mouth_pictures(
    pixels: np.ndarray, opening_px: np.ndarray, px_per_mm: float, look: MouthLook, shut: bool
) -> list[tuple[np.ndarray, Region]]:
    """Paint the inside of a mouth: its deep, the lower teeth, the upper teeth, the photo.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        opening_px: (N, 2) the border between the lips, around; its ends are first and middle.
        px_per_mm: pixels of a millimetre at the mouth.
        look: how its inside looks.
        shut: nothing of the inside is seen in the photo.

    Returns:
        Three (h, w, 4) uint8 premultiplied pictures, and the region that all span; where the mouth
        is open a fourth, the photo's own inside with its rim, for lips that are as they were. Where
        that shows teeth, they are the upper ones; a strip of anything else would hang in the mouth.
    """
    window = _window(pixels, opening_px, *_MOUTH_MARGIN)
    corner = np.array([window.x0, window.y0])
    ends = opening_px[[0, len(opening_px) // 2]] - corner
    size = window.height, window.width
    jaw, skull = (_line_of_lip(opening_px, upper=upper) - corner for upper in (False, True))
    deep, lower, upper = (
        painted_mouth(size, line, px_per_mm, look, part)
        for line, part in ((jaw, MouthPart.DEEP), (jaw, MouthPart.LOWER_TEETH),
                           (skull, MouthPart.UPPER_TEETH))
    )  # fmt: skip
    if shut:
        return [(_bytes(part), window) for part in (deep, lower, upper)]
    seen, crop = _inside(opening_px - corner, size), window.crop(pixels)
    if look.seen:
        upper = _continued(crop, upper, seen, ends)
    own = np.where((seen > 0)[..., None], _opaque(crop), 0).astype(np.uint8)
    return [*((_bytes(part), window) for part in (deep, lower, upper)), (own, window)]


def _line_of_lip(opening_px: np.ndarray, *, upper: bool) -> np.ndarray:
    """Return (2, 2) ends of the line between the corners, brought to the middle of a lip."""
    half = len(opening_px) // 2
    ends = opening_px[[0, half]]
    border = opening_px[1:half] if upper else opening_px[half + 1 :]
    middle = border[len(border) // 4 : len(border) - len(border) // 4].mean(axis=0)
    across = (ends[1] - ends[0]) / max(np.linalg.norm(ends[1] - ends[0]), 1e-6)
    down = np.array([-across[1], across[0]])
    return np.asarray(ends + float((middle - ends.mean(axis=0)) @ down) * down)


def _continued(
    crop: np.ndarray, painted: np.ndarray, seen: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Take the photo's inside for the painted one, continued a little beyond its border."""
    width = float(np.linalg.norm(ends[1] - ends[0]))
    edge = 2 * max(round(_LIP_EDGE * width), 1) + 1  # colours of the lips must not be continued
    sure = cv2.erode((seen > 0.9).astype(np.uint8), np.ones((edge, edge), np.uint8))
    lip = _lip_in_the_rim(crop, seen, sure, round(_LIP_RIM * width))
    sure[lip] = 0
    if not sure.any():
        return painted
    nearest = Nearest.among(sure > 0)
    far = nearest.distance_px
    spread = cv2.GaussianBlur(nearest.spread(crop.astype(np.float32)), (0, 0), 0.8)
    reach = max(_SMEAR * width, 2.0) + edge
    share = np.clip((1 - far / reach) / _EDGE_OF_TEETH, 0, 1)[..., None]
    spread *= 1 - _DARKER * np.clip(far / reach, 0, 1)[..., None]
    seen_px = np.dstack([crop, np.full(seen.shape, 255)]).astype(np.float32)
    spread = np.dstack([spread, np.full(seen.shape, 255, np.float32)])
    rows = np.arange(len(sure), dtype=np.float32)[:, None]
    own_row = nearest.spread(np.broadcast_to(rows, sure.shape))
    # Above, teeth go on up to their gums; below, nothing shall hang from them.
    empty = (far < 2 * reach) & (own_row <= rows)
    out = share * spread + (1 - share) * np.where(empty[..., None], 0, painted)
    return np.where(((seen > 0) & ~lip)[..., None], seen_px, out)


def _window(
    pixels: np.ndarray, border_px: np.ndarray, side: float, above: float, below: float
) -> Region:
    low, high = border_px.min(axis=0), border_px.max(axis=0)
    width = max(float(high[0] - low[0]), 4.0)
    x0, y0 = np.floor(low - np.array([side * width, above * width])).astype(int)
    x1, y1 = np.ceil(high + np.array([side * width, below * width])).astype(int)
    return Region(int(x0), int(y0), int(x1), int(y1)).clipped(pixels.shape[1], pixels.shape[0])


def _lip_in_the_rim(
    crop: np.ndarray, seen: np.ndarray, sure: np.ndarray, rim_px: int
) -> np.ndarray:
    """Return (h, w) bool, where the rim of an open mouth is as red as a lip.

    It would stay on the teeth when the lip leaves them.
    """
    around = np.ones((2 * rim_px + 1, 2 * rim_px + 1), np.uint8)
    rim = (seen > 0) & (cv2.erode((seen > 0.9).astype(np.uint8), around) == 0)
    red = cv2.blur(_redness(crop).astype(np.float32), (3, 3))
    usual = float(np.median(red[sure > 0])) if sure.any() else 1.0
    return np.asarray(rim & (red > usual + _LIP_RED))


def _inside(border_px: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (h, w) float32 cover of a polygon."""
    fine = np.zeros((size[0] * _FINE, size[1] * _FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(border_px * _FINE - 0.5).astype(np.int32)], 255)
    whole = cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA)
    return whole.astype(np.float32) / 255


def _opaque(picture: np.ndarray) -> np.ndarray:
    return _bytes(np.dstack([picture, np.full(picture.shape[:2], 255, np.float32)]))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def border_around(opening: Opening, places: np.ndarray) -> np.ndarray:
    """Return (N, 2) the border of an opening, once around, from its first corner."""
    return np.asarray(places[opening.loop])
