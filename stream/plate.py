"""The background behind one head: seen now, remembered, or filled in.

The plate lives on a canvas in the pixels of an anchor frame, a little larger than the frame, so
that a handheld camera may sway. Where the background shows, it is written to the canvas; where
it was never seen, a smooth fill stands in until a better one, made beside the live path, takes
its place. Other people are scenery: one plate belongs to one head.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from stream.camera_motion import CameraMotion, Motion
from stream.inpaint import complete, pull_push
from stream.matte_colour import KnownBackground
from stream.region import Region
from stream.side_job import SideJob

_SURE, _SEEN = 255, 64  # trust of pixels seen far from the person, and close to it
_TRUSTED = 128
_FORGOTTEN = 24  # trust below this, after the camera wandered on, is no memory at all
_FILL_STEP = 4  # the quick fill is made on cells of so many pixels
_SAMPLE_STEP = 8  # pixels between the samples that exposure and alignment are judged by


@dataclass(frozen=True, slots=True)
class PlateSettings:
    """How the background is kept. Lengths are shares of the region's longer side.

    Attributes:
        margin: around the matte, what still counts as hidden: fringes, blur, sharpening.
        doubt: around the matte, where loose hair may hang: seen, but not trusted.
        wander: share of the frame's longer side that the camera may move before the canvas
            moves with it; what is remembered is trusted less each time.
        completion: who makes the better fill: a worker ``beside`` the live path, the caller's
            thread (``inline``: slow, but the same every time), or nobody (``off``).
        blend_frames: over how many frames a better fill takes the place of a worse one.
        rest_frames: least number of frames between two better fills.
    """

    margin: float = 6 / 384
    doubt: float = 20 / 384
    wander: float = 0.07
    completion: Literal["beside", "inline", "off"] = "beside"
    blend_frames: int = 12
    rest_frames: int = 45


@dataclass(slots=True)
class _Canvas:
    """The plate in anchor pixels, moved by ``pad``.

    Attributes:
        colour: (H, W, 3) uint8 at the exposure of the anchor.
        trust: (H, W) uint8, 0 where never seen.
        filled: (H, W) uint8, 1 where ``colour`` holds a fill.
    """

    colour: np.ndarray
    trust: np.ndarray
    filled: np.ndarray
    pad: int

    @classmethod
    def empty(cls, frame_shape: tuple[int, ...], wander: float) -> "_Canvas":
        height, width = frame_shape[:2]
        pad = int(np.ceil(1.2 * wander * max(height, width))) + 2
        shape = height + 2 * pad, width + 2 * pad
        return cls(
            np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), pad
        )


@dataclass(frozen=True, slots=True)
class _View:
    """What one frame shows of a region, in the region's pixels.

    Attributes:
        region: the rectangle of the frame.
        hidden: (h, w) uint8, 255 behind the person, falling to 0 where the frame is the plate.
        sight: (h, w) uint8: 0 hidden, ``_SEEN`` near the person, ``_SURE`` far from it.
    """

    region: Region
    hidden: np.ndarray
    sight: np.ndarray


@dataclass(slots=True)
class _Better:
    """A better fill on its way in: canvas rectangle, colours, frames left."""

    area: Region
    colour: np.ndarray
    frames_left: int


class BackgroundPlate:
    """Keeps the background behind one head.

    Once a frame: ``follow`` (optional), ``known`` for the matte, ``update`` with the matte,
    then ``background`` for any region, as often as needed.

    Args:
        settings: see PlateSettings.
    """

    def __init__(self, settings: PlateSettings | None = None) -> None:
        self.settings = settings or PlateSettings()
        self._camera = CameraMotion()
        self._job = SideJob("background fill")
        self.reset()

    def reset(self) -> None:
        """Forget everything, as after a cut."""
        self._camera.restart()
        self._frame: np.ndarray | None = None
        self._canvas: _Canvas | None = None
        self._view: _View | None = None
        self._gain = np.ones(3)
        self._better: _Better | None = None
        self._frames_since_fill = self.settings.rest_frames
        self._holes_at_fill = 0
        self._job.drop()

    def close(self) -> None:
        """Stop the worker."""
        self._job.drop()

    # --- a frame --------------------------------------------------------------------------------

    def follow(self, frame_rgb: np.ndarray) -> None:
        """Align the memory with a new frame.

        Args:
            frame_rgb: (H, W, 3) uint8, not written to until the next frame.
        """
        if self._frame is frame_rgb:
            return
        if self._canvas is None or self._frame is None or self._frame.shape != frame_rgb.shape:
            self.reset()
            self._canvas = _Canvas.empty(frame_rgb.shape, self.settings.wander)
        self._frame = frame_rgb
        occupied = self._view.region if self._view else None
        if self._camera.follow(frame_rgb, occupied) is Motion.LOST and not self._aligned():
            self._forget()
        elif self._wandered():
            self._move_canvas()

    def known(self, region: Region, size: tuple[int, int]) -> KnownBackground | None:
        """Return what is remembered behind the person, for the matte of the present frame.

        Args:
            region: inside the frame.
            size: (width, height) of the answer in pixels.

        Returns:
            None if nothing in the region was seen with certainty.
        """
        if self._canvas is None or region.is_empty:
            return None
        trust = self._recalled(self._canvas.trust, region, size, cv2.INTER_NEAREST)
        confidence = cv2.compare(trust, _TRUSTED, cv2.CMP_GE)
        if cv2.countNonZero(confidence) == 0:
            return None
        colour = self._recalled(self._canvas.colour, region, size, cv2.INTER_LINEAR)
        weight = (0.95 if self._still else 0.7) / 255
        return KnownBackground(self._exposed(colour), confidence * np.float32(weight))

    def update(self, frame_rgb: np.ndarray, region: Region, alpha: np.ndarray) -> None:
        """Learn from a frame what is background.

        Args:
            frame_rgb: (H, W, 3) uint8, as in ``follow``.
            region: inside the frame, what ``alpha`` spans.
            alpha: (h', w') float32 0…1 matte of the person, any resolution.
        """
        self.follow(frame_rgb)
        region = region.clipped(frame_rgb.shape[1], frame_rgb.shape[0])
        if self._canvas is None or region.is_empty or alpha.size == 0:
            self._view = None
            return
        self._view = _look(region, alpha, self.settings)
        self._judge_exposure(self._view)
        self._learn(self._canvas, self._view)
        self._fill(self._canvas, self._view)
        self._improve(self._canvas, self._view)

    def background(self, region: Region) -> np.ndarray:
        """Return the background in a region of the last frame.

        Args:
            region: inside the frame; may reach beyond the region of the matte, where it is the
                frame itself.

        Returns:
            (h, w, 3) uint8, a new array; equal to the frame wherever background shows.
        """
        if self._frame is None:
            raise ValueError("background: no frame was given yet")
        plate = region.crop(self._frame).copy()
        if self._view is None or self._canvas is None:
            return plate
        part = _overlap(region, _bounds(self._view))
        if part.is_empty:
            return plate
        hidden = _shift(part, self._view.region).crop(self._view.hidden)
        size = part.width, part.height
        behind = self._exposed(self._recalled(self._canvas.colour, part, size, cv2.INTER_LINEAR))
        target = _shift(part, region).crop(plate)
        share = hidden * np.float32(1 / 255)
        mixed = cv2.blendLinear(behind, target, share, 1 - share)
        cv2.copyTo(mixed, hidden, target)
        return plate

    def finish(self) -> None:
        """Put the best fill in place now, however long it takes, as for a single picture."""
        if self._canvas is None or self._view is None:
            return
        self._job.drop()
        area = self._canvas_area(self._view.region)
        self._better = _Better(area, _completed(self._canvas, area), 1)
        self._blend(self._canvas)

    # --- where things are -----------------------------------------------------------------------

    @property
    def _still(self) -> bool:
        return bool(np.array_equal(self._camera.anchor_from_frame, np.eye(2, 3)))

    def _canvas_from_frame(self) -> np.ndarray:
        transform = self._camera.anchor_from_frame.copy()
        transform[:, 2] += self._pad
        return transform

    @property
    def _pad(self) -> int:
        return self._canvas.pad if self._canvas else 0

    def _canvas_area(self, region: Region) -> Region:
        """The canvas rectangle that holds a region of the frame, clipped to the canvas."""
        height, width = self._canvas.trust.shape if self._canvas else (0, 0)
        x, y = (region.x0, region.x1), (region.y0, region.y1)
        corners = np.array([(a, b, 1) for a in x for b in y], float)
        moved = corners @ self._canvas_from_frame().T
        low, high = np.floor(moved.min(0) + 1e-6), np.ceil(moved.max(0) - 1e-6)
        return Region(int(low[0]), int(low[1]), int(high[0]), int(high[1])).clipped(width, height)

    def _recalled(
        self, layer: np.ndarray, region: Region, size: tuple[int, int], flag: int
    ) -> np.ndarray:
        """Sample a layer of the canvas over a region of the frame."""
        if self._still:
            part = _shift(region, Region(-self._pad, -self._pad, 0, 0)).crop(layer)
            same = size == (region.width, region.height)
            return part if same else cv2.resize(part, size, interpolation=flag)
        region_from_size = _placed(region, size)
        canvas_from_size = _after(self._canvas_from_frame(), region_from_size)
        return _sampled(layer, canvas_from_size, size, flag)

    def _exposed(self, colour: np.ndarray) -> np.ndarray:
        """Canvas colours as the camera exposes them now."""
        return colour if (self._gain == 1).all() else cv2.LUT(colour, _gain_table(self._gain))

    def _wandered(self) -> bool:
        if self._still or self._frame is None:
            return False
        height, width = self._frame.shape[:2]
        corners = np.array([(x, y, 1) for x in (0, width) for y in (0, height)], float)
        moved = corners @ self._camera.anchor_from_frame.T - corners[:, :2]
        return float(np.abs(moved).max()) > self.settings.wander * max(height, width)

    def _move_canvas(self) -> None:
        """Make the present frame the anchor; trust what came along a little less."""
        if self._canvas is None or self._frame is None:
            return
        old, pad = self._canvas, self._pad
        height, width = old.trust.shape
        whole = Region(-pad, -pad, width - pad, height - pad)
        transform = _after(self._canvas_from_frame(), _placed(whole, (width, height)))
        size = width, height
        trust = _sampled(old.trust, transform, size, cv2.INTER_NEAREST)
        trust = cv2.convertScaleAbs(trust, alpha=0.6)
        trust[trust < _FORGOTTEN] = 0
        self._canvas = _Canvas(
            _sampled(old.colour, transform, size, cv2.INTER_LINEAR),
            trust,
            _sampled(old.filled | (old.trust > 0), transform, size, cv2.INTER_NEAREST),
            pad,
        )
        self._better = None
        self._job.drop()
        self._camera.restart()
        self._camera.follow(self._frame, self._view.region if self._view else None)

    def _forget(self) -> None:
        frame = self._frame
        self.reset()
        if frame is not None:
            self._frame = frame
            self._canvas = _Canvas.empty(frame.shape, self.settings.wander)
            self._camera.follow(frame)

    # --- what is learnt -------------------------------------------------------------------------

    def _samples(self, view: _View) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) float32 colours now and remembered, at places trusted before and seen now."""
        none = np.empty((0, 3), np.float32)
        if self._canvas is None or self._frame is None:
            return none, none
        rows, columns = np.nonzero(view.sight[::_SAMPLE_STEP, ::_SAMPLE_STEP] == _SURE)
        x = view.region.x0 + columns * _SAMPLE_STEP
        y = view.region.y0 + rows * _SAMPLE_STEP
        place = np.c_[x + 0.5, y + 0.5, np.ones(len(x))] @ self._canvas_from_frame().T
        column, row = place.astype(np.int32).T
        height, width = self._canvas.trust.shape
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        x, y, column, row = x[inside], y[inside], column[inside], row[inside]
        trusted = self._canvas.trust[row, column] >= _TRUSTED
        now = self._frame[y[trusted], x[trusted]].astype(np.float32)
        return now, self._canvas.colour[row[trusted], column[trusted]].astype(np.float32)

    def _aligned(self) -> bool:
        """Whether the last frame still lies where the memory has it."""
        if self._view is None:
            return False
        now, remembered = self._samples(self._view)
        if len(now) < 16:
            return False
        return float(np.median(np.abs(now - remembered * self._gain))) < 8

    def _judge_exposure(self, view: _View) -> None:
        """Follow automatic exposure and white balance, so that memory keeps matching."""
        now, remembered = self._samples(view)
        if len(now) < 64:
            return
        for channel in range(3):
            usable = (remembered[:, channel] > 20) & (now[:, channel] < 235) & (now[:, channel] > 8)
            if usable.sum() < 64:
                continue
            gain = float(np.median(now[usable, channel] / remembered[usable, channel]))
            if abs(gain / self._gain[channel] - 1) > 0.008:
                self._gain[channel] = np.clip(gain, 0.5, 2.0)

    def _learn(self, canvas: _Canvas, view: _View) -> None:
        if self._frame is None:
            return
        picture, sight = view.region.crop(self._frame), view.sight
        area = self._canvas_area(view.region)
        if not self._still:
            size = area.width, area.height
            region_from_frame = np.array([[1.0, 0, -view.region.x0], [0, 1, -view.region.y0]])
            frame_from_area = _after(
                cv2.invertAffineTransform(self._canvas_from_frame()), _placed(area, size)
            )
            transform = _after(region_from_frame, frame_from_area)
            picture = _sampled(picture, transform, size, cv2.INTER_LINEAR)
            sight = _sampled(sight, transform, size, cv2.INTER_NEAREST)
        trust = area.crop(canvas.trust)
        better = cv2.compare(sight, cv2.min(trust, _TRUSTED), cv2.CMP_GE)
        better &= cv2.compare(sight, 0, cv2.CMP_GT)
        if not (self._gain == 1).all():
            picture = cv2.LUT(picture, _gain_table(1 / self._gain))
        cv2.copyTo(picture, better, area.crop(canvas.colour))
        cv2.copyTo(sight, better, trust)

    def _fill(self, canvas: _Canvas, view: _View) -> None:
        """Give a smooth fill to what is hidden now and was never seen."""
        area = self._canvas_area(view.region)
        trust, filled = area.crop(canvas.trust), area.crop(canvas.filled)
        empty = cv2.bitwise_or(trust, filled) == 0
        if not empty.any():
            return
        size = max(1, area.width // _FILL_STEP), max(1, area.height // _FILL_STEP)
        known = cv2.resize((~empty).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        known = (known > 0.99).astype(np.float32)
        colour = area.crop(canvas.colour)
        small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
        smooth = np.clip(pull_push(small.astype(np.float32), known), 0, 255)
        full = cv2.resize(smooth, (area.width, area.height)).astype(np.uint8)
        mask = empty.astype(np.uint8)
        cv2.copyTo(full, mask, colour)
        filled |= mask

    # --- the better fill ------------------------------------------------------------------------

    def _improve(self, canvas: _Canvas, view: _View) -> None:
        self._frames_since_fill += 1
        done = self._job.take()
        if done is not None:
            self._better = _Better(done[0], done[1], self.settings.blend_frames)
        if self._better is not None:
            self._blend(canvas)
        elif self._worth_completing(canvas, view):
            self._complete(canvas, self._canvas_area(view.region))

    def _worth_completing(self, canvas: _Canvas, view: _View) -> bool:
        """Whether what must be filled has changed enough since the last time."""
        if self.settings.completion == "off" or self._job.busy:
            return False
        if self._frames_since_fill < self.settings.rest_frames:
            return False
        area = self._canvas_area(view.region)
        holes = area.width * area.height - cv2.countNonZero(area.crop(canvas.trust))
        if holes == 0:
            return False
        return abs(holes - self._holes_at_fill) > 0.1 * max(holes, self._holes_at_fill)

    def _complete(self, canvas: _Canvas, area: Region) -> None:
        trust = area.crop(canvas.trust)
        self._frames_since_fill = 0
        self._holes_at_fill = trust.size - cv2.countNonZero(trust)
        if self.settings.completion == "inline":
            self._better = _Better(area, _completed(canvas, area), 1)
            self._blend(canvas)
            return
        piece = _Canvas(
            area.crop(canvas.colour).copy(), trust.copy(), area.crop(canvas.filled).copy(), 0
        )
        whole = Region(0, 0, area.width, area.height)
        self._job.start(lambda: (area, _completed(piece, whole)))

    def _blend(self, canvas: _Canvas) -> None:
        """Move the fill one frame's step towards the better one."""
        better = self._better
        if better is None:
            return
        colour, share = better.area.crop(canvas.colour), 1 / better.frames_left
        mixed = cv2.addWeighted(better.colour, share, colour, 1 - share, 0)
        unseen = cv2.compare(better.area.crop(canvas.trust), 0, cv2.CMP_EQ)
        cv2.copyTo(mixed, unseen, colour)
        better.frames_left -= 1
        if better.frames_left <= 0:
            self._better = None


def _completed(canvas: _Canvas, area: Region) -> np.ndarray:
    trust = area.crop(canvas.trust)
    hidden = cv2.compare(trust, 0, cv2.CMP_EQ)
    doubtful = cv2.compare(trust, _TRUSTED, cv2.CMP_LT)
    return complete(area.crop(canvas.colour), hidden, doubtful)


# --- masks and transforms -----------------------------------------------------------------------


def _look(region: Region, alpha: np.ndarray, settings: PlateSettings) -> _View:
    """Tell what a matte hides, and what it leaves in doubt."""
    longest = max(alpha.shape)
    body = cv2.compare(alpha, 0.03, cv2.CMP_GT)
    margin = max(1, round(settings.margin * longest))
    soft = cv2.blur(_grown(body, margin), (margin | 1, margin | 1))
    size = region.width, region.height
    hidden = cv2.resize(soft, size)
    # What is half hidden must not be learnt; nor what an interpolated matte may have missed.
    seen = cv2.bitwise_not(_grown(cv2.compare(soft, 0, cv2.CMP_GT), 1))
    sure = cv2.bitwise_not(_grown(body, max(margin + 2, round(settings.doubt * longest))))
    sight = cv2.resize(cv2.max(cv2.min(seen, _SEEN), sure), size, interpolation=cv2.INTER_NEAREST)
    return _View(region, hidden, sight)


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask, disc)


def _bounds(view: _View) -> Region:
    """The rectangle of the frame in which anything is hidden."""
    x, y, width, height = cv2.boundingRect(view.hidden)
    left, top = view.region.x0 + x, view.region.y0 + y
    return Region(left, top, left + width, top + height)


def _overlap(a: Region, b: Region) -> Region:
    return Region(max(a.x0, b.x0), max(a.y0, b.y0), min(a.x1, b.x1), min(a.y1, b.y1))


def _shift(region: Region, origin: Region) -> Region:
    """``region`` in coordinates that start at the corner of ``origin``."""
    x, y = origin.x0, origin.y0
    return Region(region.x0 - x, region.y0 - y, region.x1 - x, region.y1 - y)


def _placed(region: Region, size: tuple[int, int]) -> np.ndarray:
    """(2, 3) affine from positions in a picture of ``size`` that spans a region to the frame."""
    scale_x, scale_y = region.width / size[0], region.height / size[1]
    return np.array([[scale_x, 0, region.x0], [0, scale_y, region.y0]])


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The (2, 3) affine that applies ``first``, then ``second``."""
    linear = second[:, :2] @ first[:, :2]
    return np.c_[linear, second[:, :2] @ first[:, 2] + second[:, 2]]


def _sampled(
    layer: np.ndarray, layer_from_out: np.ndarray, size: tuple[int, int], flag: int
) -> np.ndarray:
    """Sample a layer at positions (pixel centres at +0.5); zero outside."""
    matrix = layer_from_out.copy()
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(1) - 0.5
    return cv2.warpAffine(layer, matrix, size, flags=flag | cv2.WARP_INVERSE_MAP)


def _gain_table(gain: np.ndarray) -> np.ndarray:
    """(1, 256, 3) uint8 look-up table that multiplies each channel."""
    table = np.arange(256)[:, None] * gain[None]
    return np.clip(np.round(table), 0, 255).astype(np.uint8)[None]
