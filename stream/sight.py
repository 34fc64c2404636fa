"""What the networks see in the crop around a head: where the person is, and what of it is what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep
from stream.nearest import Nearest
from stream.region import halved
from stream.segment import PersonSegmenter, squared

if TYPE_CHECKING:
    from engines.engine import Engine

BACKGROUND, FACE, HAIR, EAR, NECK, MOUTH, EYES, BODY, OCCLUDER = range(9)
_LABELS_EVERY = 2  # looks; half as often while the picture rests:
_BLOCKS, _RESTING = 32, 16  # a side; grey levels that blocks may change by
_CHANGED_BLOCKS = 5  # so many that change by more are news, as a hand that comes in
_CALM = 6  # grey levels: an outline that stands out by 100 has moved by half a pixel of the mask
_LEAST_HELD = 0.004  # of the crop: smaller things are no hands or microphones
# Pixels of labels by which cloth takes some of the skin at its edge: on a collar nobody sees that,
# but along a jaw a strip of collar would show.
_TAKEN = np.ones((3, 3), np.uint8)
_AROUND, _NEAR_EDGE = np.ones((9, 9), np.uint8), 0.05  # pixels of labels, which end near an edge
_RADIUS, _EVEN = 6, 65.0  # of the guided filter, in these pixels and squared grey levels
_TOLD = (0.7, 0.95)  # likelihood of background that begins to be sure, and is
_SOME_HAIR = (0.1, 0.3)  # likelihood, looked for around a place
_HAIR_AROUND = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))  # pixels of halved labels
# Bare shoulders are no cloth, whatever labels say: how much the shares of red, green and blue
# around must differ from those of skin, or the logarithm of brightness; so far they are compared.
_HUE, _LIGHT, _COMPARED = (0.03, 0.06), (0.9, 1.2), (31, 31)


@dataclass(frozen=True, slots=True)
class SeenCloth:
    """Where cloth is in a crop, squeezed to a square; all float32 of about 0…1.

    Attributes:
        nearest: (128, 128), how likely the nearest of the person is cloth; see `clothes`.
        share: (256, 256) of the person.
        taken: (256, 256) the same with what of the skin at its edge goes with it.
        unlike: (256, 256) how surely it has other colours than the skin nearby.
    """

    nearest: np.ndarray
    share: np.ndarray
    taken: np.ndarray
    unlike: np.ndarray


@dataclass(frozen=True, slots=True)
class Sight:
    """One crop as the networks see it; all maps span the crop, squeezed to a square.

    Attributes:
        square: (256, 256, 3) uint8 RGB.
        person: (256, 256) float32, how likely a pixel is a person.
        labels: (9, 256, 256) float32 shares of the contract's labels, the ninth being things in
            front of the head; None without that network.
        age: looks since the labels were made.
        cloth: what these labels say of cloth, where that was looked at beside the frame.
        told: (128, 128) float32, how surely they tell background from the person.
        coarse: (32, 32, 3) uint8 the picture, coarsely.
        found: the same of the picture in which the person was found.
        labelled: the same of the one in which these labels were seen.
    """

    square: np.ndarray
    person: np.ndarray
    labels: np.ndarray | None = None
    age: int = 0
    cloth: SeenCloth | None = None
    told: np.ndarray | None = None
    coarse: np.ndarray | None = None
    found: np.ndarray | None = None
    labelled: np.ndarray | None = None

    def share(self, *labels: int) -> np.ndarray | None:
        """Return (256, 256) float32, how likely a pixel has one of the labels; read only."""
        if self.labels is None:
            return None
        return reduce(cv2.add, (self.labels[label] for label in labels))

    def carried_on(self, glance: Sight) -> Sight:
        """Return what is seen at a later glance with these labels."""
        return replace(
            self,
            square=glance.square,
            person=glance.person,
            coarse=glance.coarse,
            found=glance.found,
            age=self.age + 1,
        )


class HeadSight:
    """Runs the networks that look at the crop.

    Args:
        segmenter: the person network.
        labeller: engine of `head_segmentation`, or None.
    """

    def __init__(self, segmenter: PersonSegmenter, labeller: Engine | None = None) -> None:
        self._segmenter, self._labeller = segmenter, labeller

    def look(self, crop_rgb: np.ndarray) -> Sight:
        """Look at a crop, (h, w, 3) uint8 of any size."""
        return self.labelled(self.glance(crop_rgb))

    def glance(self, crop_rgb: np.ndarray, last: Sight | None = None) -> Sight:
        """Look only for the person: without labels.

        Args:
            crop_rgb: (h, w, 3) uint8 of any size.
            last: of the same part of the frame before; its person does once more where nearly
                nothing has moved, for the matte follows the picture to the pixel.
        """
        square = squared(crop_rgb)
        coarse = cv2.resize(square, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
        if last is not None and last.found is last.coarse and _alike(coarse, last.found, _CALM):
            return Sight(square, last.person, coarse=coarse, found=last.found)
        return Sight(square, self._segmenter.segment(square), coarse=coarse, found=coarse)

    def labelled(self, sight: Sight, last: Sight | None = None) -> Sight:
        """Return what was seen at a glance with labels.

        Args:
            sight: as of `glance`.
            last: of the same part of the frame before; its labels do for every other frame, for
                clothes and hands are told apart coarsely, and for longer while nothing moves.
        """
        if self._labeller is None:
            return sight
        if last is not None and _do_for(last, sight):
            return last.carried_on(sight)
        labels = self._labeller(picture=as_input(sight.square))["probabilities"][0]
        cloth, told = see_cloth(labels, sight.square), told_background(labels)
        return replace(sight, labels=labels, cloth=cloth, told=told, labelled=sight.coarse)


def _do_for(last: Sight, now: Sight) -> bool:
    """Tell whether labels of earlier looks still hold in what is seen now."""
    if last.labels is None or last.age + 1 >= 2 * _LABELS_EVERY:
        return False
    return last.age + 1 < _LABELS_EVERY or _alike(now.coarse, last.labelled, _RESTING)


def _alike(coarse: np.ndarray | None, before: np.ndarray | None, levels: int) -> bool:
    """Tell whether few blocks of a picture, (32, 32, 3) uint8, changed by more than grey levels."""
    if coarse is None or before is None:
        return False
    changed = cv2.absdiff(coarse, before).max(axis=2) > levels
    return int(np.count_nonzero(changed)) < _CHANGED_BLOCKS


def as_input(square: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 → (1, 3, S, S) float32, 0…1, as the networks take it."""
    return cv2.dnn.blobFromImage(square, 1 / 255)


def told_background(labels: np.ndarray) -> np.ndarray:
    """Return (128, 128) float32, how surely labels tell background from the person.

    Near hair they are no help, whose tips are finer than they are.
    """
    scenery, hair = (halved(labels[label]) for label in (BACKGROUND, HAIR))
    hair = cv2.dilate(hair, _HAIR_AROUND)
    # Each pixel by itself would leave a square in the matte.
    scenery, hair = (cv2.GaussianBlur(label, (0, 0), 1.0) for label in (scenery, hair))
    return smoothstep(scenery, *_TOLD) * (1 - smoothstep(hair, *_SOME_HAIR))


def clothes(sight: Sight) -> np.ndarray | None:
    """Find clothes, and the fringe around them that must stay where they stay.

    What surrounds a person goes with what is nearest of them: were it left out, the soft edge of
    a shoulder would turn with the head and tear off the cloth that rests.

    Returns:
        (128, 128) float32 over the crop, how likely the nearest of the person is cloth; None
        without labels.
    """
    return None if sight.labels is None else _nearest_cloth(sight.labels)


def _nearest_cloth(labels: np.ndarray) -> np.ndarray:
    behind, own = (halved(labels[label]) for label in (BACKGROUND, BODY))
    own = own / np.maximum(1 - behind, 0.5)  # of what a pixel holds of the person
    person = behind <= 0.5
    if person.all() or not person.any():
        return own
    return cv2.blur(Nearest.among(person).spread(own), (3, 3))


def see_cloth(labels: np.ndarray, square: np.ndarray) -> SeenCloth:
    """Find cloth, up to the edge that it has in the picture.

    Labels end near the edge of a collar, colours at it: a guided filter (He et al., "Guided image
    filtering", 2010) moves the one to the other.

    Args:
        labels: (9, 256, 256) float32, as of a `Sight`.
        square: (256, 256, 3) uint8 RGB, what they were seen in.
    """
    cloth = labels[BODY] / np.maximum(1 - labels[BACKGROUND], 0.5)
    skin = cv2.add(labels[FACE], labels[NECK])
    edge = cv2.dilate(skin, _AROUND) * cv2.dilate(cloth, _AROUND) > _NEAR_EDGE
    x, y, width, height = cv2.boundingRect(edge.view(np.uint8))
    unlike = np.zeros_like(cloth)
    if width:
        box = np.s_[y : y + height, x : x + width]
        picture = np.ascontiguousarray(square[box])
        unlike[box] = _unlike(picture, labels[BODY][box], skin[box])
        cloth[box] = cv2.ximgproc.guidedFilter(picture, cloth[box], _RADIUS, _EVEN)
    return SeenCloth(_nearest_cloth(labels), cloth, cv2.dilate(cloth, _TAKEN), unlike)


def _unlike(picture: np.ndarray, cloth: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Return (h, w) float32 0…1, how surely cloth and skin around a pixel differ in colour.

    Args:
        picture: (h, w, 3) uint8.
        cloth: (h, w) float32 likelihood.
        skin: (h, w) float32 likelihood.
    """
    shares = [cv2.max(share, 1e-4) for share in (cloth, skin)]
    mean, other = (
        cv2.blur(cv2.multiply(picture, cv2.merge([share] * 3), dtype=cv2.CV_32F), _COMPARED)
        / cv2.blur(share, _COMPARED)[..., None]
        + 1
        for share in shares
    )
    bright, lit = mean.sum(axis=-1), other.sum(axis=-1)
    hue = np.abs(mean / bright[..., None] - other / lit[..., None]).max(axis=-1)
    light = np.abs(np.log(bright / lit))
    return np.maximum(smoothstep(hue, *_HUE), smoothstep(light, *_LIGHT)).astype(np.float32)


def held_things(sight: Sight, chin_row: float) -> np.ndarray | None:
    """Find hands, microphones and cups: things before the head that do not turn with it.

    Frames of glasses, hats and headphones are things, too, but hang on the head. What is held
    reaches below the chin.

    Args:
        sight: of the crop.
        chin_row: of the squeezed crop, in its pixels.

    Returns:
        (256, 256) float32, how likely a pixel shows such a thing; None without labels.
    """
    things = sight.share(OCCLUDER)
    if things is None:
        return None
    sure = cv2.compare(things, 0.5, cv2.CMP_GT)
    if cv2.countNonZero(sure) <= _LEAST_HELD * things.size:
        return np.zeros_like(things)
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(sure)
    bottom = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT]
    held = (bottom > chin_row) & (stats[:, cv2.CC_STAT_AREA] > _LEAST_HELD * things.size)
    held[0] = False
    if not held.any():
        return np.zeros_like(things)
    near = cv2.dilate(held[numbers].astype(np.uint8), np.ones((7, 7), np.uint8))
    return things * near
