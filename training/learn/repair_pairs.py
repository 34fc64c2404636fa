"""Pasted and real faces for the network `repair`.

    python -m training.learn.repair_pairs OUT --data sets/train --sources clip.mpg portrait.jpg …

Faces are laid on faces by the live path's own affine. There is no truth for a face on another
one's head, which is why the paper takes CycleGAN; but a face laid on the same person in another
picture has one, and those pairs keep the generator from changing who somebody is. For the other
use of the paper faces are turned to the front before what is left of their picture.

Only what may train weights that ship belongs into `--sources`; see the README of the data folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003  the command line reads the annotations
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import tyro
from rich.progress import track

from stream.affine_blend import ToneMatch, face_side, lay_face
from stream.affine_draw import FaceDrawer
from stream.affine_pose import face_pose, moved_points
from stream.affine_settings import AffineSettings
from stream.affine_source import lifted_face
from stream.affine_swap import cropped_face, face_mesh, face_region, swapped_mesh
from stream.affine_track import LiveDepth
from stream.fill import pull_push
from stream.frame import Frame
from stream.gl import create_context
from stream.media import open_source
from stream.pose import seen_angles
from stream.repair import SIZE, as_square, repair_region, taken
from stream.track import FaceTracker
from training.learn.augment import recoloured
from training.learn.prepared import PreparedSet, open_set

if TYPE_CHECKING:
    from collections.abc import Iterable

SWAPPED, SELF, FRONTAL = range(3)  # kinds
FIELDS: dict[str, tuple[tuple[int, ...], str]] = {
    "pasted": ((SIZE, SIZE, 3), "uint8"),  # the picture with a face pasted into it
    "masks": ((SIZE, SIZE, 2), "uint8"),  # see stream.repair
    "real": ((SIZE, SIZE, 3), "uint8"),  # before; the truth where the kind is SELF
    "kind": ((), "uint8"),
}
_SHARES = (0.25, 0.6, 0.15)  # of the kinds
_SAME_PICTURE = 0.9  # share of faces laid on themselves that come from the very same picture
_SLOPE, _BLUR_PX, _GRAIN = 0.35, 1.2, 12.0  # most light from one side (logarithm), blur, noise
_LEAST_SIDE = 95.0  # pixels of a face: a smaller one is all blur
_MOST_YAW = 55.0
_LEAST_SEEN = 0.6  # of the points of a synthetic face
_NOISE = 0.004  # of the face's side, of each point: no tracker is exact
_RECOLOURED = 0.7
_CLIP_FRAMES = 12


class Portrait(NamedTuple):
    """A picture of one face.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        points: (478, 2) float64.
        person: pictures with one number show one person.
    """

    pixels: np.ndarray
    points: np.ndarray
    person: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True, slots=True)
class Pasted:
    """One example; see FIELDS."""

    pasted: np.ndarray
    masks: np.ndarray
    real: np.ndarray
    kind: int


class Paster:
    """Lays faces on faces as the live path does, with what goes wrong there made a little worse."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._depth = LiveDepth("onnxruntime")
        self._drawer = FaceDrawer(create_context())

    def swapped(self, source: Portrait, target: Portrait, kind: int) -> Pasted:
        """Lay one face on another one."""
        rng = self._rng
        options = replace(
            AffineSettings(), tone=float(rng.uniform(0, 1)), edge=float(rng.uniform(0.03, 0.1))
        )
        points = self._noisy(source.points)
        depth = self._depth(_with_depth(points))
        coloured = recoloured(worsened(source.pixels, rng), rng, _RECOLOURED)
        face = cropped_face(coloured, points, depth)
        aimed = self._noisy(target.points)
        mesh = swapped_mesh(face, aimed)
        region = face_region(mesh.places_px, target.size)
        texture = self._drawer.texture(face.pixels, many_sizes=True)
        drawn = self._drawer.draw(texture, mesh, region)
        texture.release()
        pixels, mask = target.pixels.copy(), np.zeros(target.pixels.shape[:2], np.uint8)
        below = np.ascontiguousarray(region.crop(pixels))
        laid, opacity = lay_face(below, drawn, aimed - region[:2], ToneMatch(), options)
        region.crop(pixels)[:], region.crop(mask)[:] = laid, opacity
        return _squared(target, pixels, cv2.merge([mask, np.zeros_like(mask)]), kind)

    def frontalised(self, portrait: Portrait) -> Pasted:
        """Turn a face to the front; around it, what the turned one covered is unknown."""
        points = self._noisy(portrait.points)
        lifted = _with_depth(points, self._depth(_with_depth(points)))
        pose = face_pose(lifted)
        face = lifted_face(portrait.pixels, points, lifted[:, 2])
        front = moved_points(lifted, pose, pose.rotation.T)
        mesh = face_mesh(face, front[:, :2], front[:, 2])
        region = face_region(front, portrait.size)
        texture = self._drawer.texture(face.pixels, many_sizes=False)
        drawn = self._drawer.draw(texture, mesh, region)
        texture.release()
        pixels, unknown = without_face(portrait.pixels, points)
        shown = np.zeros_like(unknown)
        region.crop(shown)[:] = cv2.erode(np.ascontiguousarray(drawn[..., 3]), np.ones((3, 3)))
        cv2.copyTo(np.ascontiguousarray(drawn[..., :3]), region.crop(shown), region.crop(pixels))
        masks = cv2.merge([shown, cv2.subtract(unknown, shown)])
        return _squared(portrait, pixels, masks, FRONTAL)

    def _noisy(self, points: np.ndarray) -> np.ndarray:
        return points + self._rng.normal(0, _NOISE * face_side(points), points.shape)


def worsened(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let light come from another side, and blur a picture or give it grain."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, _SLOPE)
    light = np.exp(slope * 3 * (np.cos(angle) * x + np.sin(angle) * y)).astype(np.float32)
    out = pixels * light[..., None]
    if rng.random() < 0.5:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.2, _BLUR_PX))
    else:
        out = out + rng.normal(0, rng.uniform(0, _GRAIN), out.shape)
    return np.rint(out).clip(0, 255).astype(np.uint8)


def _with_depth(points: np.ndarray, depth: np.ndarray | None = None) -> np.ndarray:
    third = np.zeros(len(points)) if depth is None else depth
    return np.column_stack([points, third])


def without_face(pixels: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take away what lies within the hull of the keypoints; smooth colours fill it.

    Returns:
        (H, W, 3) uint8, and (H, W) uint8, 255 where nothing is known.
    """
    unknown = np.zeros(pixels.shape[:2], np.uint8)
    hull = cv2.convexHull(points.astype(np.float32)[:468])
    cv2.fillConvexPoly(unknown, np.rint(hull).astype(np.int32), 255)
    known = (unknown == 0).astype(np.float32)
    filled = pull_push(pixels.astype(np.float32), known)
    return np.rint(filled).clip(0, 255).astype(np.uint8), unknown


def _squared(portrait: Portrait, pixels: np.ndarray, masks: np.ndarray, kind: int) -> Pasted:
    region = repair_region(portrait.points)
    squares = [as_square(taken(part, region)) for part in (pixels, masks, portrait.pixels)]
    return Pasted(squares[0], squares[1], squares[2], kind)


# --- where faces come from ----------------------------------------------------------------------


def synthetic_portraits(data: PreparedSet, most: int) -> list[Portrait]:
    """Return faces of a prepared set that are large, seen, and not turned too far."""
    points = np.asarray(data["points478"][:, :, :2], np.float64)
    sides = np.ptp(points, axis=1).max(axis=1)
    seen = np.asarray(data["visible478"]).mean(axis=1) > _LEAST_SEEN
    yaws = [abs(seen_angles(np.asarray(pose, float))[0]) for pose in data["camera_from_head"]]
    whole = (points.min(axis=(1, 2)) > 0) & (points.max(axis=(1, 2)) < data.size)
    good = (sides > _LEAST_SIDE) & seen & whole & (np.array(yaws) < _MOST_YAW)
    _, people = np.unique(data["identity"], axis=0, return_inverse=True)
    rows = np.flatnonzero(good)[:most]
    return [Portrait(np.asarray(data["pixels"][n]), points[n], int(people[n])) for n in rows]


def real_portraits(sources: Iterable[Path], first_person: int) -> list[Portrait]:
    """Return tracked faces of clips and pictures; each file is one person."""
    found = []
    for number, source in enumerate(sources):
        with open_source(str(source)) as opened, FaceTracker(still=True) as tracker:
            frames = [frame.pixels for frame in opened]
            for pixels in frames[:: max(1, len(frames) // _CLIP_FRAMES)]:
                faces = tracker.track(Frame(pixels))
                if faces:
                    points = faces[0].points_px[:, :2].astype(np.float64)
                    found.append(_portrait(pixels, points, first_person + number))
    return found


def _portrait(pixels: np.ndarray, points: np.ndarray, person: int) -> Portrait:
    """Make a picture about as large as synthetic ones are, cut around the face."""
    scale = min(1.0, 160.0 / face_side(points))
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Portrait(np.ascontiguousarray(pixels), points * scale, person)


def make(
    out: tyro.conf.Positional[Path], *, data: Path, sources: tuple[Path, ...] = (),
    count: int = 4000, real_share: float = 0.35, seed: int = 31,
) -> None:  # fmt: skip
    """Make a set of pasted faces.

    Args:
        out: folder of the set.
        data: prepared set of synthetic people.
        sources: clips and pictures that are free to train from.
        count: examples.
        real_share: how many of them are pasted into real pictures, where there are any.
        seed: of the draws.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    synthetic = synthetic_portraits(open_set(data), 2 * count)
    real = real_portraits(sources, 1 + max(one.person for one in synthetic))
    print(f"{len(synthetic)} synthetic and {len(real)} real faces")
    paster, writer = Paster(rng), _Writer(out, count)
    people = _by_person([*synthetic, *real])
    for _ in track(range(count)):
        pool = real if real and rng.random() < real_share else synthetic
        writer.add(example_of(paster, pool[rng.integers(len(pool))], synthetic + real, people, rng))
    writer.close({"seed": seed, "real": len(real)})
    print(f"{out}: {writer.count} examples")


def example_of(
    paster: Paster, target: Portrait, others: list[Portrait], people: dict[int, list[Portrait]],
    rng: np.random.Generator,
) -> Pasted:  # fmt: skip
    """Draw what becomes of a picture: another's face, its own face from elsewhere, or a turn."""
    kind = int(rng.choice(3, p=_SHARES))
    if kind == FRONTAL:
        return paster.frontalised(target)
    own = [one for one in people[target.person] if one is not target]
    if kind == SELF:
        alone = not own or rng.random() < _SAME_PICTURE
        return paster.swapped(target if alone else own[rng.integers(len(own))], target, SELF)
    source = others[rng.integers(len(others))]
    same = source.person == target.person
    return paster.swapped(source, target, SELF if same else SWAPPED)


def _by_person(portraits: list[Portrait]) -> dict[int, list[Portrait]]:
    people: dict[int, list[Portrait]] = {}
    for portrait in portraits:
        people.setdefault(portrait.person, []).append(portrait)
    return people


class _Writer:
    """Writes a set that `learn.prepared.open_set` opens."""

    def __init__(self, folder: Path, capacity: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.count = folder, 0
        self._fields = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (capacity, *shape))
            for name, (shape, kind) in FIELDS.items()
        }

    def add(self, example: Pasted) -> None:
        """Write one example."""
        for name, array in self._fields.items():
            array[self.count] = getattr(example, name)
        self.count += 1

    def close(self, recipe: dict[str, int]) -> None:
        """Say how many there are; until then the set counts as unfinished."""
        for array in self._fields.values():
            array.flush()
        summary = {"count": self.count, "size": SIZE, **recipe}
        (self._folder / "set.json").write_text(json.dumps(summary) + "\n")


if __name__ == "__main__":
    tyro.cli(make)
