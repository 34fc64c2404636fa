"""The canvas of the background plate: colours around an anchor frame, and their trust."""

from dataclasses import dataclass

import cv2
import numpy as np

from stream.fill import pull_push
from stream.region import Region

SURE, SEEN = 255, 64  # trust of pixels seen far from the person, and close to it
LOOSE = 1  # sight of a loose hair: what it hides is as good as never seen
TRUSTED = 128  # trust from which a pixel may contradict the person's mask
_FORGOTTEN = 24  # trust below this, after the camera wandered on, is no memory at all
_FADE = 0.6  # what is left of the trust when the canvas moves
_MEND_STEP = 3  # pixels between those that a fill is checked at
_MEND_LEAST = 8  # fewer of them show nothing
_MEND_FROM = 4.0  # grey levels; less is not worth the time
_MEND_REACH = 0.07  # share of the longer side over which a correction fades
NOTHING, QUICK, GOOD = 0, 1, 2  # what stands in where nothing was seen
PIECED = 128  # of 255: how far what is well filled counts as unseen


@dataclass(frozen=True, slots=True)
class Layers:
    """Views of a part of the canvas.

    Attributes:
        colour: (h, w, 3) uint8.
        trust: (h, w) uint8, 0 where never seen.
        fill: (h, w) uint8: NOTHING, QUICK or GOOD, the fill that ``colour`` holds where it
            was never seen.
    """

    colour: np.ndarray
    trust: np.ndarray
    fill: np.ndarray

    def copied(self) -> "Layers":
        """Return the same in memory of its own."""
        return Layers(self.colour.copy(), self.trust.copy(), self.fill.copy())


class Canvas:
    """Colours in the pixels of an anchor frame, which is a little smaller than the canvas.

    Attributes:
        anchor_from_frame: (2, 3) similarity from the pixels of the present frame.
        still: True while that is exactly the identity.
    """

    def __init__(self, width: int, height: int, wander: float) -> None:
        self._pad = int(np.ceil(1.2 * wander * max(height, width))) + 2
        shape = height + 2 * self._pad, width + 2 * self._pad
        self._layers = Layers(
            np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        )
        self._frame_size = width, height
        self._wander = wander
        self.align(np.eye(2, 3))

    def align(self, anchor_from_frame: np.ndarray) -> None:
        """Say where the present frame lies."""
        self.anchor_from_frame = anchor_from_frame
        self.still = bool(np.array_equal(anchor_from_frame, np.eye(2, 3)))
        self._canvas_from_frame = anchor_from_frame.copy()
        self._canvas_from_frame[:, 2] += self._pad

    @property
    def wandered(self) -> bool:
        """Whether the frame has come close to the canvas's edge."""
        return self.moved_since(np.eye(2, 3)) > self._wander * max(self._frame_size)

    def moved_since(self, anchor_from_frame: np.ndarray) -> float:
        """Return by how many pixels a corner of the frame has moved from an earlier place."""
        width, height = self._frame_size
        corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)], float)
        return float(np.abs(corners @ (self.anchor_from_frame - anchor_from_frame).T).max())

    def move(self) -> None:
        """Make the present frame the anchor; trust what comes along a little less."""
        height, width = self._layers.trust.shape
        whole = Region(-self._pad, -self._pad, width - self._pad, height - self._pad)
        size, old = (width, height), self._layers
        transform = after(self._canvas_from_frame, placed(whole, size))
        trust = sampled(old.trust, transform, size, cv2.INTER_NEAREST)
        trust = cv2.convertScaleAbs(trust, alpha=_FADE)
        trust[trust < _FORGOTTEN] = 0
        fill = cv2.max(old.fill, cv2.min(old.trust, QUICK))
        self._layers = Layers(
            sampled(old.colour, transform, size, cv2.INTER_LINEAR),
            trust,
            sampled(fill, transform, size, cv2.INTER_NEAREST),
        )
        self.align(np.eye(2, 3))

    def area(self, region: Region) -> Region:
        """Return the canvas rectangle that holds a region of the frame, clipped."""
        corners = [(x, y, 1.0) for x in (region.x0, region.x1) for y in (region.y0, region.y1)]
        moved = np.array(corners) @ self._canvas_from_frame.T
        low, high = np.floor(moved.min(0) + 1e-6), np.ceil(moved.max(0) - 1e-6)
        height, width = self._layers.trust.shape
        return Region(int(low[0]), int(low[1]), int(high[0]), int(high[1])).clipped(width, height)

    def layers(self, area: Region) -> Layers:
        """Return writable views of a rectangle of the canvas."""
        layers = self._layers
        return Layers(area.crop(layers.colour), area.crop(layers.trust), area.crop(layers.fill))

    def colour_at(self, region: Region, size: tuple[int, int]) -> np.ndarray:
        """Sample the colours over a region of the frame: (h, w, 3) uint8, not to be written."""
        return self._at(self._layers.colour, region, size, cv2.INTER_LINEAR)

    def trust_at(self, region: Region, size: tuple[int, int]) -> np.ndarray:
        """Sample the trust over a region of the frame: (h, w) uint8, not to be written."""
        return self._at(self._layers.trust, region, size, cv2.INTER_NEAREST)

    def unseen_at(self, region: Region, size: tuple[int, int]) -> np.ndarray:
        """Sample what was never seen over a region of the frame: (h, w) uint8.

        Returns:
            0 where it was seen, ``PIECED`` where a good fill stands in, 255 elsewhere.
        """
        unseen = cv2.compare(self.trust_at(region, size), 0, cv2.CMP_EQ)
        fill = self._at(self._layers.fill, region, size, cv2.INTER_NEAREST)
        unseen[cv2.bitwise_and(unseen, cv2.compare(fill, GOOD, cv2.CMP_EQ)) > 0] = PIECED
        return unseen

    def _at(
        self, layer: np.ndarray, region: Region, size: tuple[int, int], flag: int
    ) -> np.ndarray:
        if not self.still:
            transform = after(self._canvas_from_frame, placed(region, size))
            return sampled(layer, transform, size, flag)
        pad = self._pad
        part = Region(region.x0 + pad, region.y0 + pad, region.x1 + pad, region.y1 + pad)
        same = size == (region.width, region.height)
        return part.crop(layer) if same else cv2.resize(part.crop(layer), size, interpolation=flag)

    def points(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Look up single frame pixels.

        Returns:
            Whether each lies on the canvas (n,), and of those that do the colours (m, 3)
            uint8 and the trust (m,) uint8.
        """
        column, row, inside = self._pixels(x, y)
        return inside, self._layers.colour[row, column], self._layers.trust[row, column]

    def cell_count(self, step: int) -> int:
        """How many cells of ``step`` pixels the canvas has."""
        height, width = self._layers.trust.shape
        return (width // step + 1) * (height // step + 1)

    def cells(self, x: np.ndarray, y: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells (m,) of those frame pixels that lie on the canvas, and which do."""
        column, row, inside = self._pixels(x, y)
        across = self._layers.trust.shape[1] // step + 1
        return row // step * across + column // step, inside

    def _pixels(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.c_[x + 0.5, y + 0.5, np.ones(len(x))] @ self._canvas_from_frame.T
        column, row = np.floor(place).astype(np.int32).T
        height, width = self._layers.trust.shape
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        return column[inside], row[inside], inside

    def learn(
        self, region: Region, picture: np.ndarray, sight: np.ndarray, mend: bool = True
    ) -> None:
        """Write what a frame shows.

        Args:
            region: of the frame.
            picture: (h, w, 3) uint8 pixels of the region.
            sight: (h, w) uint8 trust that each deserves; 0 leaves the canvas as it is, and
                less than what was trusted before does too. ``LOOSE`` empties it.
            mend: correct the fill that is left by what it proved wrong.
        """
        area = self.area(region)
        if not self.still:
            size = area.width, area.height
            frame_from_area = after(
                cv2.invertAffineTransform(self._canvas_from_frame), placed(area, size)
            )
            region_from_area = frame_from_area - [[0, 0, region.x0], [0, 0, region.y0]]
            picture = sampled(picture, region_from_area, size, cv2.INTER_LINEAR)
            sight = sampled(sight, region_from_area, size, cv2.INTER_NEAREST)
        layers = self.layers(area)
        better = cv2.compare(sight, cv2.min(layers.trust, TRUSTED), cv2.CMP_GE)
        better &= cv2.compare(sight, LOOSE, cv2.CMP_GT)
        if mend:
            _mend_fill(layers, picture, better)
        cv2.copyTo(picture, better, layers.colour)
        cv2.copyTo(sight, better, layers.trust)
        loose = cv2.compare(sight, LOOSE, cv2.CMP_EQ)
        loose &= cv2.compare(layers.trust, TRUSTED, cv2.CMP_LT)
        layers.trust[loose > 0] = 0
        layers.fill[loose > 0] = NOTHING


def _mend_fill(layers: Layers, picture: np.ndarray, seen: np.ndarray) -> None:
    """Where a fill proves wrong at its edge, pass the difference on to what it still hides.

    A smooth fill is right at the edge that it was made for; as the edge moves on, this keeps it
    so. A good fill is left alone: where it errs, a thing is missing, and no shade of the rest.

    Args:
        layers: of the canvas, changed in place where never seen and not well filled.
        picture: (h, w, 3) uint8, what shows now.
        seen: (h, w) uint8, nonzero where it shows.
    """
    step = _MEND_STEP
    unseen = cv2.compare(layers.trust, 0, cv2.CMP_EQ)
    unseen &= cv2.compare(layers.fill, GOOD, cv2.CMP_NE)
    uncovered = cv2.min(cv2.min(seen, unseen), layers.fill)[::step, ::step]
    if cv2.countNonZero(uncovered) < _MEND_LEAST:
        return
    weight = (uncovered > 0).astype(np.float32)
    error = picture[::step, ::step].astype(np.float32) - layers.colour[::step, ::step]
    coarse = max(1, weight.shape[1] // 3), max(1, weight.shape[0] // 3)
    share = cv2.resize(weight, coarse, interpolation=cv2.INTER_AREA)
    total = cv2.resize(error * weight[..., None], coarse, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(share, 1e-6)[..., None]
    if np.abs(mean).max() < _MEND_FROM:
        return
    spread = pull_push(mean, np.minimum(1, 3 * share))
    away = cv2.distanceTransform((share == 0).astype(np.uint8), cv2.DIST_L2, 3)
    spread *= np.exp(-away / (_MEND_REACH * max(coarse)))[..., None]
    height, width = unseen.shape
    for change, apply in ((spread, cv2.add), (-spread, cv2.subtract)):
        amount = cv2.max(change, 0).astype(np.uint8)
        apply(layers.colour, cv2.resize(amount, (width, height)), layers.colour, unseen)


def placed(region: Region, size: tuple[int, int]) -> np.ndarray:
    """Return the (2, 3) affine from a picture of ``size`` that spans a region to the frame."""
    scale_x, scale_y = region.width / size[0], region.height / size[1]
    return np.array([[scale_x, 0, region.x0], [0, scale_y, region.y0]])


def after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the (2, 3) affine that applies ``first``, then ``second``."""
    return np.c_[second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]]


def sampled(
    layer: np.ndarray, layer_from_out: np.ndarray, size: tuple[int, int], flag: int
) -> np.ndarray:
    """Sample a layer through an affine of positions (pixel centres at +0.5).

    Outside the layer, masks are zero and colours go on.
    """
    matrix = layer_from_out.copy()
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(1) - 0.5
    border = cv2.BORDER_REPLICATE if layer.ndim == 3 else cv2.BORDER_CONSTANT
    flags = flag | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(layer, matrix, size, flags=flags, borderMode=border)
