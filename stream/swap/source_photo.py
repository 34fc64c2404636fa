"""One photo of a source: which face is meant, where it is, and what the networks see in it."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream.closing import Closing
from stream.composite import head_region
from stream.errors import UserError
from stream.face_3dmm import FaceReader
from stream.fit import HeadFitter
from stream.frame import Frame
from stream.media import read_picture
from stream.media.specs import path_of
from stream.segment import PersonSegmenter
from stream.sight import HeadSight
from stream.track import FaceTracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.face_3dmm import FaceGuess
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.networks import Networks
    from stream.region import Region
    from stream.sight import Sight

_MOST_FACES = 8
_CLEARLY_LARGER = 1.6  # the side of a face over that of the next: no doubt which one is meant
_ROUNDS = 4  # of a joint fit
_STEP_S = 0.02


@dataclass(frozen=True, slots=True)
class PhotoSpec:
    """A photo as the user names it: ``photo.jpg``, or ``photo.jpg#2`` for one of several faces.

    Attributes:
        path: of the file.
        number: which face, counted from 1 from the left; None where the user did not say.
    """

    path: Path
    number: int | None = None

    @property
    def name(self) -> str:
        """The file's name, with the number of the face where one was given."""
        return self.path.name if self.number is None else f"{self.path.name}#{self.number}"

    @classmethod
    def parse(cls, text: str | Path) -> PhotoSpec:
        """Read what the user wrote; a file that really bears such a name goes first.

        Raises:
            UserError: if the number is 0.
        """
        path = path_of(str(text))
        split = re.fullmatch(r"(.+)#(\d+)", str(path))
        if split is None or path.exists():
            return cls(path)
        if int(split[2]) == 0:
            what = f"{text} names face number 0"
            raise UserError(what, "faces are counted from 1, from the left", "Give #1 or higher")
        return cls(Path(split[1]), int(split[2]))


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """A photo with its face found, fitted and looked at.

    Attributes:
        spec: as the user named it.
        pixels: (H, W, 3) uint8 RGB.
        face: the tracked points.
        head: the head model on them; identity is that of all photos together.
        guess: what the network face_3dmm sees, or None without it.
        region: the head's rectangle in the photo.
        sight: what the networks see in it.
        others: how many other faces the photo shows.
    """

    spec: PhotoSpec
    pixels: np.ndarray
    face: Face
    head: Head
    guess: FaceGuess | None
    region: Region
    sight: Sight
    others: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    spec: PhotoSpec
    frame: Frame
    face: Face
    guess: FaceGuess | None
    others: int


class PhotoReader(Closing):
    """Finds, fits and looks at the faces of photos.

    Args:
        model: the head model.
        networks: `face_3dmm` and `head_segmentation` are used where they are open.
    """

    def __init__(self, model: HeadModel, networks: Networks) -> None:
        self._model = model
        with ExitStack() as opened:
            self._tracker = opened.enter_context(FaceTracker(_MOST_FACES, still=True))
            segmenter = opened.enter_context(PersonSegmenter())
            self._opened = opened.pop_all()
        self._sight = HeadSight(segmenter, networks.get("head_segmentation"))
        network = networks.get("face_3dmm")
        self._reader = FaceReader(network) if network is not None else None

    def close(self) -> None:
        """Give the networks back."""
        self._opened.close()

    def read(self, specs: Sequence[PhotoSpec]) -> list[SourcePhoto]:
        """Read photos of one person, and fit one identity to all of them.

        Raises:
            UserError: if a file cannot be read, or it is not clear which face is meant.
        """
        found = [self._find(spec) for spec in specs]
        heads = fit_jointly(self._model, found)
        return [self._look(one, head) for one, head in zip(found, heads, strict=True)]

    def _find(self, spec: PhotoSpec) -> _Found:
        pixels, _ = read_picture(spec.path)
        frame = Frame(pixels)
        faces = self._tracker.track(frame)
        face = choose_face(faces, spec)
        guess = self._reader.read(frame, [face])[0] if self._reader is not None else None
        return _Found(spec, frame, face, guess, len(faces) - 1)

    def _look(self, found: _Found, head: Head) -> SourcePhoto:
        region = head_region(head, found.frame.size)
        sight = self._sight.look(np.ascontiguousarray(region.crop(found.frame.pixels)))
        return SourcePhoto(
            found.spec,
            found.frame.pixels,
            found.face,
            head,
            found.guess,
            region,
            sight,
            found.others,
        )


def choose_face(faces: Sequence[Face], spec: PhotoSpec) -> Face:
    """Return the face that is meant: the one with the number given, or the one clearly largest.

    Raises:
        UserError: if there is none, the number is too high, or two are of about the same size.
    """
    if not faces:
        raise UserError(
            f"no face found in {spec.path.name}",
            "none can be seen in it, or it is too small, too turned or hidden",
            "Give a photo in which the face is seen from the front and fills a good part of it",
        )
    in_order = sorted(faces, key=lambda face: float(face.points_px[:, 0].mean()))
    if spec.number is not None:
        if spec.number > len(in_order):
            raise UserError(
                f"{spec.path.name} has no face number {spec.number}",
                f"{len(in_order)} found in it",
                f"Give {spec.path.name}#1 to #{len(in_order)}, counted from the left",
            )
        return in_order[spec.number - 1]
    by_size = sorted(in_order, key=face_side, reverse=True)
    if len(by_size) > 1 and face_side(by_size[0]) < _CLEARLY_LARGER * face_side(by_size[1]):
        names = " or ".join(f"{spec.path.name}#{n + 1}" for n in range(len(in_order)))
        raise UserError(
            f"{spec.path.name} shows {len(in_order)} faces",
            "it is not clear whose is meant",
            f"Say which one, counted from the left: {names}",
        )
    return by_size[0]


def face_side(face: Face) -> float:
    """Return the longer side of a face's box, pixels."""
    return float(np.ptp(face.points_px[:, :2], axis=0).max())


def fit_jointly(model: HeadModel, found: Sequence[_Found]) -> list[Head]:
    """Fit one identity to all photos, and pose and expression to each.

    The fitter learns identity from frame to frame; the photos are shown to it in turn, a few
    times, as if they were frames of one clip.
    """
    fitter, time_s = HeadFitter(model), 0.0
    if len(found) == 1:
        (one,) = found
        return [fitter.fit(one.face, one.frame.size, time_s, one.guess)]
    faces = [replace(one.face, id=0) for one in found]
    for _ in range(_ROUNDS):
        for one, face in zip(found, faces, strict=True):
            for guess in (
                one.guess,
                None,
            ):  # every second sight is one that identity is learnt from
                fitter.fit(face, one.frame.size, time_s, guess)
                time_s += _STEP_S
    return [fitter.fit_as(0, face, one.frame.size) for one, face in zip(found, faces, strict=True)]
