"""Pictures of people who do not exist, with all that is known of them.

One seed and one index always give the same sample, on any number of workers: whatever is drawn
comes from a generator that the two alone start.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from stream.closing import Closing
from stream.head_model import load_head_model
from training.synthetic.backgrounds import BackgroundLibrary
from training.synthetic.cameras import pose_degrees, sample_camera, turned_cameras
from training.synthetic.degrade import photograph
from training.synthetic.expressions import sample_expression
from training.synthetic.lighting import LightLibrary
from training.synthetic.people import People
from training.synthetic.points import project_points
from training.synthetic.register import IctPeople
from training.synthetic.renderer import MOST_LAMPS, SceneRenderer
from training.synthetic.scene import Camera, Layers, Lighting, Portrait, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.pool import AsyncResult
    from pathlib import Path

    from training.synthetic.person import PersonSpec

VIEWS_PER_PERSON = 4  # successive indices that show one person, with all else drawn anew
_PERSON, _VIEW, _TUPLE = 1, 2, 3  # what a generator is for
_BODY_SHARE = (0.15, 0.95)  # of the head's turn that the shoulders do not make
_MOST_BODY_TURN = np.radians(65.0)
_BRIGHTEST = 32.0  # linear light of a glint; half floats overflow beyond
_TUPLE_FAULTS = 0.4  # of a camera that takes several pictures of one scene
_AHEAD = 3  # people drawn before they are asked for, a worker: memory stays bounded
_Item = tuple[int, dict[str, np.ndarray], dict[str, str | float]]


class Synthesiser(Closing):
    """Draws samples; a context manager that owns a renderer.

    Args:
        data_dir: the data folder, with `makehuman`, `hdri` and `ict`.
        size: side of the square pictures, pixels.
    """

    def __init__(self, data_dir: Path, size: int = 256) -> None:
        self.size = size
        # One thread of BLAS: sums then come out alike on every machine and any number of
        # workers, and matrices this small are no faster with more.
        self._limits = threadpool_limits(1, "blas")
        self._people = People(data_dir, texture_size=512 if size <= 256 else 1024)
        self._lights = LightLibrary(data_dir)
        self._backgrounds = BackgroundLibrary(data_dir)
        self._renderer = SceneRenderer((size, size))
        self._last: tuple[tuple[int, int, bool], PersonSpec] | None = None

    def close(self) -> None:
        """Give back the OpenGL context, and to BLAS its threads."""
        self._renderer.close()
        self._limits.restore_original_limits()

    def sample(self, seed: int, index: int, held_out: bool = False) -> Sample:
        """Draw one picture.

        Args:
            seed: of the whole set.
            index: number of the picture; four in a row show one person, each with another
                expression, pose, light, background and camera.
            held_out: draw people for validation: skins and hair that training never sees.
        """
        spec = self._person(seed, index // VIEWS_PER_PERSON, held_out)
        rng = np.random.default_rng([seed, _VIEW, int(held_out), index])
        camera = sample_camera(rng, (self.size, self.size))
        portrait = self._people.portrait(
            spec, sample_expression(rng), _body_turn(rng, camera.camera_from_head)
        )
        lighting = self._lights.sample(rng)
        background = self._backgrounds.sample(rng, (self.size, self.size))
        layers = self._renderer.draw(portrait, camera, lighting)
        return _finished(layers, background, (portrait, camera, lighting), rng, 1.0)

    def tuple(self, seed: int, index: int, count: int, held_out: bool = False) -> list[Sample]:
        """Draw the same head, hair, expression, shoulders and room with the head turned.

        Hands and what they hold stay where they are.

        Args:
            seed: of the whole set.
            index: number of the tuple.
            count: how many views, 2 to 5.
            held_out: as in `sample`.

        Returns:
            `count` samples; the first has the pose that `sample_camera` draws, the camera stays.
        """
        spec = self._person(seed, index, held_out)
        rng = np.random.default_rng([seed, _TUPLE, int(held_out), index])
        first = sample_camera(rng, (self.size, self.size))
        expression = sample_expression(rng)
        body = _body_turn(rng, first.camera_from_head)
        lighting = self._lights.sample(rng)
        background = self._backgrounds.sample(rng, (self.size, self.size))
        faults = int(rng.integers(1 << 31))
        samples = []
        for camera in [first, *turned_cameras(rng, first, count - 1)]:
            still = _on_the_same_neck(first, camera)
            turn = _kept_body(first.camera_from_head, body, still.camera_from_head)
            now_from_first = np.linalg.inv(still.camera_from_head) @ first.camera_from_head
            portrait = self._people.portrait(spec, expression, turn, (body, now_from_first))
            layers = self._renderer.draw(portrait, still, lighting)
            parts = (portrait, still, lighting)
            chance = np.random.default_rng(faults)
            samples.append(_finished(layers, background, parts, chance, _TUPLE_FAULTS))
        return samples

    def _person(self, seed: int, number: int, held_out: bool) -> PersonSpec:
        key = (seed, number, held_out)
        if self._last is None or self._last[0] != key:
            rng = np.random.default_rng([seed, _PERSON, int(held_out), number])
            self._last = key, self._people.sample(rng, held_out)
        return self._last[1]


def _body_turn(rng: np.random.Generator, camera_from_head: np.ndarray) -> np.ndarray:
    """Draw how the shoulders are turned against the head: mostly they face the camera."""
    head = cv2.Rodrigues(camera_from_head[:3, :3])[0].ravel()
    turn = -rng.uniform(*_BODY_SHARE) * head + rng.normal(0.0, [0.05, 0.15, 0.04])
    return _limited(turn)


def _on_the_same_neck(first: Camera, other: Camera) -> Camera:
    """Move another view so that its neck joint is where it is in the first: none walks."""
    joint = load_head_model().neck_joint
    pose = other.camera_from_head.copy()
    fixed = first.camera_from_head[:3, :3] @ joint + first.camera_from_head[:3, 3]
    pose[:3, 3] = fixed - pose[:3, :3] @ joint
    return replace(other, camera_from_head=pose)


def _kept_body(first: np.ndarray, turn: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return the turn against the head `now` of shoulders that do not move in camera space."""
    body = first[:3, :3] @ cv2.Rodrigues(turn)[0]
    return _limited(cv2.Rodrigues(now[:3, :3].T @ body)[0].ravel())


def _limited(turn: np.ndarray) -> np.ndarray:
    angle = float(np.linalg.norm(turn))
    return turn * min(1.0, _MOST_BODY_TURN / max(angle, 1e-6))


def _finished(
    layers: Layers,
    background: np.ndarray,
    parts: tuple[Portrait, Camera, Lighting],
    rng: np.random.Generator,
    faults: float,
) -> Sample:
    """Put a scene before its background, photograph it and find its points."""
    portrait, camera, lighting = parts
    scene = layers.colour + background * (1 - layers.alpha)[..., None]
    scene = np.nan_to_num(scene, posinf=_BRIGHTEST).clip(0.0, _BRIGHTEST).astype(np.float32)
    points, seen, points68, seen68 = project_points(
        portrait.model_vertices_mm, camera, layers.depth_mm
    )
    yaw, pitch, roll = pose_degrees(camera)
    angles = {"yaw": yaw, "pitch": pitch, "roll": roll}
    distance = {"distance_mm": float(np.linalg.norm(camera.camera_from_head[:3, 3]))}
    return Sample(
        pixels=photograph(scene, rng, faults),
        layers=layers,
        points478_px=points,
        visible478=seen,
        points68_px=points68,
        visible68=seen68,
        portrait=portrait,
        camera=camera,
        lighting=lighting,
        facts={**portrait.facts, **lighting.facts, **angles, **distance},
    )


# --- arrays and streams -------------------------------------------------------------------------


def arrays_of(sample: Sample) -> dict[str, np.ndarray]:
    """Return what training reads of a sample, in small types.

    Returns:
        `pixels` (H, W, 3) uint8; `depth_mm`, `face_depth_mm` (H, W) float32, nan where nothing
        is; `labels` (H, W) uint8; `hair_alpha`, `alpha` (H, W) uint8; `normals` (H, W, 3),
        `head_uv` (H, W, 2), `canonical_mm` (H, W, 3) float16, nan where undefined; `points478`
        (478, 3), `points68` (68, 3) float32 (x, y pixels, z mm); `visible478`, `visible68` bool;
        `identity` (80,), `expression` (52,); `camera_from_head` (4, 4), `intrinsics` (3, 3);
        `sky` (9, 3); `lamps` (4, 6) float32, towards each lamp (camera space, unit length) and
        its linear RGB, zero where there is none.
    """
    layers, lighting = sample.layers, sample.lighting
    lamps = np.zeros((MOST_LAMPS, 6), np.float32)
    lamps[: len(lighting.colours)] = np.hstack([lighting.directions, lighting.colours])
    return {
        "pixels": sample.pixels,
        "depth_mm": layers.depth_mm,
        "face_depth_mm": layers.face_depth_mm,
        "labels": layers.labels,
        "alpha": np.rint(layers.alpha * 255).astype(np.uint8),
        "hair_alpha": np.rint(layers.hair_alpha * 255).astype(np.uint8),
        "normals": layers.normals.astype(np.float16),
        "head_uv": layers.head_uv.astype(np.float16),
        "canonical_mm": layers.canonical_mm.astype(np.float16),
        "points478": sample.points478_px,
        "visible478": sample.visible478,
        "points68": sample.points68_px,
        "visible68": sample.visible68,
        "identity": sample.portrait.identity,
        "expression": sample.portrait.expression,
        "camera_from_head": sample.camera.camera_from_head.astype(np.float32),
        "intrinsics": sample.camera.intrinsics.astype(np.float32),
        "sky": lighting.sky,
        "lamps": lamps,
    }


def stream(
    data_dir: Path,
    seed: int,
    count: int,
    *,
    size: int = 256,
    workers: int = 2,
    held_out: bool = False,
    start: int = 0,
    every: int = 1,
) -> Iterator[_Item]:
    """Draw samples on several processes, in order.

    Args:
        data_dir: the data folder.
        seed: of the set.
        count: how many samples.
        size: side of the pictures.
        workers: processes; 0 draws in this one.
        held_out: for validation.
        start: first index.
        every: step between indices; 4 shows another person each time.

    Yields:
        Index, arrays (see `arrays_of`) and facts.
    """
    # Whole people to a worker, so that each is shaped and painted once.
    indices = range(start, start + count * every, every)
    groups = [indices[i : i + VIEWS_PER_PERSON] for i in range(0, count, VIEWS_PER_PERSON)]
    settings = (data_dir, size, seed, held_out)
    if workers == 0:
        with Synthesiser(data_dir, size) as synthesiser:
            for group in groups:
                yield from _samples(synthesiser, seed, held_out, group)
        return
    IctPeople(data_dir)  # keeps its registration, which the workers then find
    # A forked OpenGL context is broken: every worker starts anew.
    with multiprocessing.get_context("spawn").Pool(workers, _begin, settings) as pool:
        waiting: deque[AsyncResult[list[_Item]]] = deque()
        for group in groups:
            waiting.append(pool.apply_async(_drawn, (group,)))
            if len(waiting) > _AHEAD * workers:
                yield from waiting.popleft().get()
        while waiting:
            yield from waiting.popleft().get()


_state: dict[str, tuple[Synthesiser, int, bool]] = {}


def _begin(data_dir: Path, size: int, seed: int, held_out: bool) -> None:
    cv2.setNumThreads(1)
    # Workers run side by side: threads of Mesa's own would cost a tenth more processor time.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    _state["own"] = Synthesiser(data_dir, size), seed, held_out


def _drawn(group: range) -> list[_Item]:
    return _samples(*_state["own"], group)


def _samples(synthesiser: Synthesiser, seed: int, held_out: bool, group: range) -> list[_Item]:
    samples = [(index, synthesiser.sample(seed, index, held_out)) for index in group]
    return [(index, arrays_of(sample), dict(sample.facts)) for index, sample in samples]
