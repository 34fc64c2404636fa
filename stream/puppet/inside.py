"""What is seen through the openings of a moved face: eyeballs, and the inside of the mouth.

Each is a picture in the photo's own pixels, larger than the opening: the photo where it shows
the inside, and a guess around it. So at rest the openings show the photo itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.fill import pull_push
from stream.region import Region

if TYPE_CHECKING:
    from stream.puppet.topology import Opening

_EYE_MARGIN = (0.35, 0.55)  # of the eye's width, to the sides, above and below
_FINE = 4  # the mouth is painted so many times larger
_MOUTH_MARGIN = (0.2, 0.6, 1.3)  # of its width: to the sides, above, below
_LIP_EDGE, _DARKER = 0.012, 0.6  # of its width, what mixes with the lips; of the light, lost
_SMEAR = 0.06  # of its width: so far the photo's own inside is continued
_TOOTH = np.array([236.0, 228.0, 212.0])
_GUM = np.array([176.0, 92.0, 92.0])
_TONGUE = np.array([188.0, 96.0, 96.0])
_HUE_SHARE = 0.3  # of the skin's hue that is taken for the light's
_CAVITY = np.array([46.0, 16.0, 16.0])
_TONGUE_MM = (19.0, 15.0, -1.0)  # half its width and height as seen, and how far below the lips
# Widths of teeth from the middle to the side and how far they fall short of the longest, mm.
_UPPER_TEETH = ((8.5, 0.0), (6.6, 0.8), (7.4, 0.1), (6.6, 0.7), (6.2, 1.0), (8.0, 1.5))
_LOWER_TEETH = ((5.2, 0.0), (5.7, 0.1), (6.6, 0.0), (6.8, 0.6), (6.8, 1.0), (9.0, 1.4))
_ARCH_MM = 24.0  # half of the width of the arch of teeth
_UPPER_EDGE_MM, _LOWER_EDGE_MM = 3.2, -1.0  # below the line between the lips


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


def mouth_pictures(
    pixels: np.ndarray, opening_px: np.ndarray, px_per_mm: float, skin: np.ndarray, shut: bool
) -> list[tuple[np.ndarray, Region]]:
    """Paint the inside of a mouth: what goes with the jaw, and what belongs to the skull.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        opening_px: (N, 2) the border between the lips, around; its ends are first and middle.
        px_per_mm: pixels of a millimetre at the mouth.
        skin: (3,) typical colour of the face, which tells the light.
        shut: nothing of the inside is seen in the photo.

    Returns:
        Two (h, w, 4) uint8 premultiplied pictures, and the region that both span.
    """
    window = _window(pixels, opening_px, *_MOUTH_MARGIN)
    corner = np.array([window.x0, window.y0])
    ends = opening_px[[0, len(opening_px) // 2]] - corner
    light = float(np.clip(skin @ (0.3, 0.59, 0.11) / 185.0, 0.15, 1.0))
    hue = np.clip(skin / max(skin.mean(), 1.0), 0.6, 1.4)
    light_of = light * (1 + _HUE_SHARE * (hue - 1))
    size = window.height, window.width
    jaw, skull = (
        _painted(size, _line_of_lip(opening_px, upper=upper) - corner, px_per_mm, upper=upper)
        for upper in (False, True)
    )
    for picture in (skull, jaw):
        picture[..., :3] *= light_of
    if not shut:
        seen = _inside(opening_px - corner, size)
        skull = _continued(window.crop(pixels), skull, seen, ends)
    return [(_bytes(jaw), window), (_bytes(skull), window)]


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
    if not sure.any():
        return painted
    _, nearest = cv2.distanceTransformWithLabels(
        1 - sure, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    far = cv2.distanceTransform(1 - sure, cv2.DIST_L2, 5)
    colours = np.zeros((nearest.max() + 1, 3), np.float32)
    colours[nearest[sure > 0]] = crop[sure > 0]
    spread = cv2.GaussianBlur(colours[nearest], (0, 0), 0.8)
    reach = max(_SMEAR * width, 2.0) + edge
    share = np.clip(1 - far / reach, 0, 1)[..., None]
    spread *= 1 - _DARKER * np.clip(far / reach, 0, 1)[..., None]
    seen_px = np.dstack([crop, np.full(seen.shape, 255)]).astype(np.float32)
    spread = np.dstack([spread, np.full(seen.shape, 255, np.float32)])
    out = share * spread + (1 - share) * np.where(far[..., None] < 2 * reach, 0, painted)
    return np.where((seen > 0)[..., None], seen_px, out)


def _painted(
    size: tuple[int, int], ends: np.ndarray, px_per_mm: float, *, upper: bool
) -> np.ndarray:
    """Return (h, w, 4) float32, 0…255 and premultiplied, under full light."""
    scale = px_per_mm * _FINE
    height, width = size[0] * _FINE, size[1] * _FINE
    across = ends[1] - ends[0]
    angle = float(np.arctan2(across[1], across[0]))
    middle = ends.mean(axis=0) * _FINE
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    dx, dy = x - middle[0], y - middle[1]
    c, s = np.cos(angle), np.sin(angle)
    x_mm, y_mm = (c * dx + s * dy) / scale, (c * dy - s * dx) / scale
    picture = _upper_mm(x_mm, y_mm) if upper else _lower_mm(x_mm, y_mm)
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)


def _upper_mm(x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """Upper teeth and their gums, before all else."""
    picture = np.zeros((*x_mm.shape, 4), np.float32)
    teeth, shade = _teeth(x_mm, y_mm - _UPPER_EDGE_MM, _UPPER_TEETH, 9.5)
    _lay(picture, _GUM * 0.75 * shade[..., None], (y_mm < -5.0) & (np.abs(x_mm) < _ARCH_MM))
    _lay(picture, _TOOTH * shade[..., None], teeth)
    return picture


def _lower_mm(x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """The dark of the mouth, the tongue and the lower teeth."""
    picture = np.empty((*x_mm.shape, 4), np.float32)
    picture[..., :3] = _CAVITY * np.exp(-((x_mm / 22.0) ** 2))[..., None]
    picture[..., 3] = 255
    away = np.hypot(x_mm / _TONGUE_MM[0], (y_mm - _TONGUE_MM[2]) / _TONGUE_MM[1])
    # It rises to the back, where less light comes, and has a furrow.
    lit = 0.25 + 0.6 * np.clip((y_mm - _TONGUE_MM[2]) / _TONGUE_MM[1] + 1, 0, 1)
    lit *= np.clip(1.35 - 0.6 * away, 0, 1) * (1 - 0.12 * np.exp(-((x_mm / 2.2) ** 2)))
    _lay(picture, _TONGUE * lit[..., None], np.clip((1 - away) / 0.3, 0, 1))
    teeth, shade = _teeth(x_mm, _LOWER_EDGE_MM - y_mm, _LOWER_TEETH, 8.0)
    _lay(picture, _GUM * 0.6 * shade[..., None], (y_mm > 5.0) & (np.abs(x_mm) < _ARCH_MM))
    _lay(picture, _TOOTH * 0.75 * shade[..., None], teeth)
    return picture


def _lay(picture: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay a colour over a premultiplied picture, in place."""
    share = cover.astype(np.float32)[..., None]
    picture *= 1 - share
    picture[..., :3] += share * colour
    picture[..., 3:] += share * 255


def _teeth(
    x_mm: np.ndarray, below_mm: np.ndarray, widths: tuple[tuple[float, float], ...], height: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return cover and shade of a row of teeth on an arch that turns away to the sides.

    Args:
        x_mm: from the middle.
        below_mm: from the edge of the longest teeth, away from the gums.
        widths: of each tooth and how far it falls short, mm.
        height: of the teeth.
    """
    turn = np.arcsin(np.clip(np.abs(x_mm) / _ARCH_MM, 0, 1))
    along = turn * _ARCH_MM  # length of the arch from the middle
    starts = np.concatenate([[0], np.cumsum([width for width, _ in widths])])
    number = np.clip(np.searchsorted(starts, along, side="right") - 1, 0, len(widths) - 1)
    width = np.array([width for width, _ in widths])[number]
    short = np.array([short for _, short in widths])[number]
    place = (along - starts[number]) / width * 2 - 1  # −1…1 across the tooth
    rounded = 0.9 * np.abs(place) ** 5
    inside = -(below_mm + short + rounded)
    cover = np.clip(inside / 0.25 + 0.5, 0, 1) * (inside < height)
    cover *= (np.abs(x_mm) < _ARCH_MM) & (along < starts[-1])
    groove = 1 - 0.45 * np.clip((np.abs(place) - 0.86) / 0.14, 0, 1) ** 2
    root = np.clip(inside / height, 0, 1)
    shade = groove * (1 - 0.25 * root**2) * np.sqrt(np.maximum(np.cos(turn), 0))
    return cover.astype(np.float32), shade.astype(np.float32)


def _window(
    pixels: np.ndarray, border_px: np.ndarray, side: float, above: float, below: float
) -> Region:
    low, high = border_px.min(axis=0), border_px.max(axis=0)
    width = max(float(high[0] - low[0]), 4.0)
    x0, y0 = np.floor(low - np.array([side * width, above * width])).astype(int)
    x1, y1 = np.ceil(high + np.array([side * width, below * width])).astype(int)
    return Region(int(x0), int(y0), int(x1), int(y1)).clipped(pixels.shape[1], pixels.shape[0])


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
