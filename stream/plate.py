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
from stream.exposure import Exposure
from stream.matte_colour import KnownBackground, matte_size
from stream.plate_canvas import GOOD, TRUSTED, Canvas, Layers
from stream.plate_fill import (
    completable,
    completed,
    fill_from_edges,
    fill_gaps,
    worth_completing,
)
from stream.plate_rim import RIM_STEP, fitted_to_rim
from stream.plate_view import PlateView, look
from stream.region import Region, mix_in
from stream.side_job import SideJob

_LEAST_SIDE = 8
_KNOWN_SIZE = 256  # as large as a matte
_SWAY_PX = 16  # around a region, what is filled in case the camera brings it in
_SAMPLE_STEP = 12  # pixels between the samples that exposure and alignment are judged by
_ASK_EVERY = 8  # frames between two looks whether a better fill is due
_SAMPLES = 64  # fewer say nothing about the alignment
_ALIGNED = (2.5, 8.0)  # grey levels of median difference up to which the memory still fits
_STILL_SIDE, _LIVE_SIDE = 192, 136  # cells of the region's longer side in a better fill
_FIRST_SOONER = 4  # times as quickly as later fills does the first take its place
_OTHER_SCENE = 30.0  # grey levels of median difference that no camera motion explains

_Place = tuple[Region, tuple[int, int]]  # of the frame, and the (width, height) it is wanted at


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

    margin: float = 4 / 384
    doubt: float = 20 / 384
    wander: float = 0.07
    completion: Literal["beside", "inline", "off"] = "beside"
    blend_frames: int = 24
    rest_frames: int = 120


@dataclass(slots=True)
class _Better:
    """A better fill on its way in: its place on the canvas, its colours, frames left."""

    area: Region
    colour: np.ndarray
    frames_left: int


class BackgroundPlate:
    """Keeps the background behind one head.

    Once a frame: ``known`` for the matte (after ``follow``), ``update`` with the matte, then
    ``background`` for any region, as often as needed. Where the background is awaited, ``see`` and
    ``learn`` divide the update: what can be learnt after it was given comes then.

    Args:
        settings: see PlateSettings.
    """

    def __init__(self, settings: PlateSettings | None = None) -> None:
        self.settings = settings or PlateSettings()
        self._camera = CameraMotion()
        self._job: SideJob[tuple[Region, np.ndarray]] = SideJob("background fill")
        self.reset()

    def reset(self) -> None:
        """Forget everything, as after a cut."""
        self._camera.restart()
        self._job.drop()
        self._frame: np.ndarray | None = None
        self._canvas: Canvas | None = None
        self._exposure = Exposure(0)
        self._view: PlateView | None = None
        self._asked: _Place | None = None  # of `known`, the last time
        self._known: dict[_Place, KnownBackground | None] = {}  # of the present frame
        self._better: _Better | None = None
        self._frames = 0
        self._learnt_at = np.eye(2, 3)
        self._learnt_bounds = Region(0, 0, 0, 0)
        self._unlearnt: np.ndarray | None = None  # of the present view
        self._rested = self.settings.rest_frames

    def close(self) -> None:
        """Let go of the worker."""
        self._job.drop()

    def follow(self, frame_rgb: np.ndarray) -> None:
        """Align the memory with a new frame; ``update`` does it where it was not done.

        What ``known`` was asked the last time is looked up for this frame, too, so that it need
        not take time there.

        Args:
            frame_rgb: (H, W, 3) uint8, not written to while it is the present frame.
        """
        canvas = self._aligned_canvas(frame_rgb)
        if self._asked is not None:
            self._remembered(canvas, self._asked)

    def known(self, region: Region, size: tuple[int, int]) -> KnownBackground | None:
        """Return what is remembered behind the person, for the matte of the present frame.

        Args:
            region: inside the frame.
            size: largest (width, height) of the answer in pixels.

        Returns:
            What is known, in the pixels of the matte; None if nothing in the region was seen
            with certainty.
        """
        if self._canvas is None or min(region.width, region.height) < _LEAST_SIDE:
            return None
        self._asked = region, matte_size(size, _KNOWN_SIZE)
        return self._remembered(self._canvas, self._asked)

    def _remembered(self, canvas: Canvas, place: _Place) -> KnownBackground | None:
        if place not in self._known:
            self._known[place] = self._look_up(canvas, *place)
        return self._known[place]

    def _look_up(
        self, canvas: Canvas, region: Region, size: tuple[int, int]
    ) -> KnownBackground | None:
        trusted = cv2.compare(canvas.trust_at(region, size), TRUSTED, cv2.CMP_GE)
        if cv2.countNonZero(trusted) == 0:
            return None
        colour = self._exposure.now(canvas.colour_at(region, size))
        confidence = 0.95 if canvas.still else 0.7
        return KnownBackground(colour, trusted * np.float32(confidence / 255))

    def update(self, frame_rgb: np.ndarray, region: Region, alpha: np.ndarray) -> None:
        """Learn from a frame what is background; arguments as in ``see``."""
        self.see(frame_rgb, region, alpha)
        self.learn()

    def see(self, frame_rgb: np.ndarray, region: Region, alpha: np.ndarray) -> None:
        """Take in a frame, and learn from it what ``background`` cannot do without.

        Args:
            frame_rgb: (H, W, 3) uint8, not written to while it is the present frame, and before
                ``learn`` was called.
            region: of the frame, what ``alpha`` spans.
            alpha: (h', w') float32 0…1 matte of the person, any resolution.
        """
        canvas = self._aligned_canvas(frame_rgb)
        self._known.clear()
        self._frames += 1
        region = region.clipped(frame_rgb.shape[1], frame_rgb.shape[0])
        if min(region.width, region.height) < _LEAST_SIDE or alpha.size == 0:
            self._view = None  # too small to tell anyone apart
            return
        picture = region.crop(frame_rgb)
        view = look(picture, region, alpha, self.settings.margin, self.settings.doubt)
        self._view = view
        if self._frames % 4 == 1:
            self._judge_exposure(canvas, view, frame_rgb)
        if self._has_moved(canvas, view):
            self._learn(canvas, view, picture)
        else:
            self._unlearnt = picture if self._is_due(canvas) else None

    def learn(self) -> None:
        """Learn the rest of what the present frame shows, and let a better fill come in."""
        canvas, view = self._canvas, self._view
        if canvas is None or view is None:
            return
        if self._unlearnt is not None:
            self._learn(canvas, view, self._unlearnt)
        self._improve(canvas, canvas.area(view.region))

    def background(self, region: Region) -> np.ndarray:
        """Return the background in a region of the last frame.

        Args:
            region: inside the frame; may reach beyond the region of the matte, where it is the
                frame itself.

        Returns:
            (h, w, 3) uint8, a new array; equal to the frame wherever background shows.

        Raises:
            ValueError: before the first frame.
        """
        if self._frame is None or self._canvas is None:
            raise ValueError("BackgroundPlate.background: no frame was given yet")
        plate = region.crop(self._frame).copy()
        if self._view is None:
            return plate
        part = region.intersection(self._view.bounds)
        if part.is_empty:
            return plate
        hidden = part.moved_into(self._view.region).crop(self._view.hidden)
        size = part.width, part.height
        behind = self._exposure.now(self._canvas.colour_at(part, size))
        target = part.moved_into(region).crop(plate)
        if not self._canvas.still:  # else it was made for what shows around it
            coarse = hidden[::RIM_STEP, ::RIM_STEP]
            trust = self._canvas.trust_at(part, (coarse.shape[1], coarse.shape[0]))
            guessed = cv2.bitwise_and(cv2.compare(trust, 0, cv2.CMP_EQ), coarse)
            shows = cv2.compare(coarse, 0, cv2.CMP_EQ)
            behind = fitted_to_rim(behind, guessed, target, shows)
        mix_in(target, behind, hidden)
        return plate

    def unseen(self, region: Region, size: tuple[int, int]) -> np.ndarray:
        """Tell where the background of the present frame is a guess.

        Args:
            region: inside the frame.
            size: (width, height) of the answer in pixels.

        Returns:
            (h, w) uint8, 0 where it was seen, ``PIECED`` where pieces of what lies around stand
            in, 255 where nothing but a smooth fill does.
        """
        if self._canvas is None:
            return np.full(size[::-1], 255, np.uint8)
        return self._canvas.unseen_at(region, size)

    def finish(self) -> None:
        """Put the best fill in place now, however long it takes, as for a single picture."""
        if self._canvas is None or self._view is None:
            return
        self._job.drop()
        area = self._canvas.area(self._view.region)
        layers = self._canvas.layers(area)
        if completable(layers):
            self._better = _Better(area, completed(layers, _STILL_SIDE), 1)
            self._blend(self._canvas)

    def _has_moved(self, canvas: Canvas, view: PlateView) -> bool:
        """Tell whether so much has moved that there may be nothing to put behind the person."""
        if not canvas.still:
            return canvas.moved_since(self._learnt_at) > _SWAY_PX / 2
        by_person = np.abs(np.subtract(view.bounds, self._learnt_bounds)).max()
        return bool(by_person > _SWAY_PX / 2)

    def _is_due(self, canvas: Canvas) -> bool:
        """Tell whether it is time to learn: little comes to light and is gone in a frame."""
        # A resampled picture costs ten times a copied one.
        return self._frames % (2 if canvas.still else 3) == 1

    def _learn(self, canvas: Canvas, view: PlateView, picture: np.ndarray) -> None:
        mend = self._frames % 4 < 2
        canvas.learn(view.region, self._exposure.at_first(picture), view.sight, mend)
        self._learnt_at, self._learnt_bounds = canvas.anchor_from_frame, view.bounds
        self._unlearnt = None
        layers = canvas.layers(canvas.area(_grown(view.region)))
        if not fill_gaps(layers):
            fill_from_edges(layers, self._exposure.at_first(picture))

    # --- alignment ------------------------------------------------------------------------------

    def _aligned_canvas(self, frame_rgb: np.ndarray) -> Canvas:
        height, width = frame_rgb.shape[:2]
        if self._frame is not None and self._frame.shape != frame_rgb.shape:
            self.reset()
        canvas = self._canvas
        if canvas is None:
            canvas = self._canvas = Canvas(width, height, self.settings.wander)
            self._exposure = Exposure(canvas.cell_count(_SAMPLE_STEP))
        if self._frame is frame_rgb:
            return canvas
        self._frame = frame_rgb
        self._known.clear()
        view = self._view
        occupied = (
            view.occupied((width, height), _SAMPLE_STEP) if view else np.ones((1, 1), np.uint8)
        )
        motion = self._camera.follow(frame_rgb, occupied)
        canvas.align(self._camera.anchor_from_frame)
        if not self._fits(canvas, frame_rgb, motion is Motion.LOST):
            self.reset()
            return self._aligned_canvas(frame_rgb)
        if canvas.wandered:
            canvas.move()
            self._exposure.forget_places()
            self._better = None
            self._job.drop()
            self._camera.restart()
            self._camera.follow(frame_rgb, occupied)
        return canvas

    def _fits(self, canvas: Canvas, frame_rgb: np.ndarray, lost: bool) -> bool:
        """Whether the scene is still the one remembered, and where it is remembered."""
        if self._view is None:
            return not lost
        x, y = self._view.sure_places(_SAMPLE_STEP)
        inside, colour, trust = canvas.points(x, y)
        trusted = trust >= TRUSTED
        if trusted.sum() < _SAMPLES:
            return not lost
        now = frame_rgb[y[inside][trusted], x[inside][trusted]].astype(np.float32)
        difference = float(np.median(np.abs(now - self._exposure.gain * colour[trusted])))
        if lost:
            return difference < np.clip(0.2 * float(now.std()), *_ALIGNED)
        return difference < _OTHER_SCENE

    # --- exposure -------------------------------------------------------------------------------

    def _judge_exposure(self, canvas: Canvas, view: PlateView, frame_rgb: np.ndarray) -> None:
        """Follow automatic exposure and white balance, so that the memory keeps matching."""
        x, y = view.sure_places(_SAMPLE_STEP)
        cells, inside = canvas.cells(x, y, _SAMPLE_STEP)
        cells, first = np.unique(cells, return_index=True)
        self._exposure.judge(cells, frame_rgb[y[inside][first], x[inside][first]])

    # --- the better fill ------------------------------------------------------------------------

    def _improve(self, canvas: Canvas, area: Region) -> None:
        self._rested += 1
        done = self._job.take()
        if done is not None:
            self._better = _Better(*done, self._blend_frames(canvas.layers(done[0])))
        if self._better is not None:
            self._blend(canvas)
        elif self._rested > self.settings.rest_frames and not self._job.busy:
            self._complete(canvas, area)

    def _complete(self, canvas: Canvas, area: Region) -> None:
        """Have the fill made anew where enough of it has changed since the last time."""
        mode, layers = self.settings.completion, canvas.layers(area)
        if mode == "off" or not worth_completing(layers):
            self._rested -= _ASK_EVERY
            return
        self._rested = 0
        if mode == "inline":
            frames = self._blend_frames(layers)
            self._better = _Better(area, completed(layers, _LIVE_SIDE), frames)
            self._blend(canvas)
        else:
            piece = layers.copied()
            self._job.start(lambda: (area, completed(piece, _LIVE_SIDE)))

    def _blend_frames(self, layers: Layers) -> int:
        """Over how many frames a fill comes in: the first, which replaces a blur, soon."""
        if (layers.fill == GOOD).any():
            return self.settings.blend_frames
        inline = self.settings.completion == "inline"
        return 1 if inline else max(1, self.settings.blend_frames // _FIRST_SOONER)

    def _blend(self, canvas: Canvas) -> None:
        """Move the fill one frame's step towards the better one."""
        better = self._better
        if better is None:
            return
        layers, share = canvas.layers(better.area), 1 / better.frames_left
        mixed = cv2.addWeighted(better.colour, share, layers.colour, 1 - share, 0)
        unseen = cv2.compare(layers.trust, 0, cv2.CMP_EQ)
        cv2.copyTo(mixed, unseen, layers.colour)
        better.frames_left -= 1
        if better.frames_left <= 0:
            layers.fill[:] = cv2.bitwise_and(unseen, GOOD)
            self._better = None


def _grown(region: Region) -> Region:
    """The region, and what the next frames of a moving camera may bring into it."""
    return Region(
        region.x0 - _SWAY_PX, region.y0 - _SWAY_PX, region.x1 + _SWAY_PX, region.y1 + _SWAY_PX
    )
