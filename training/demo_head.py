"""A talking head before a room, rendered for the demo clip.

The head is MakeHuman's (CC0). Shirt, room, occlusion and grain are made here.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from training.makehuman import EYES, FACE, HAIR, MOUTH, HeadLibrary, Person, turned
from training.render import Light, Part, Renderer, Rendering

FPS = 25
_OVERSIZE = 2  # pictures are made this much larger, so that every step is anti-aliased
_DISTANCE_MM = 680.0
_UNIT = "expression/units/caucasian/"
_MACRO = "macrodetails/"
_PERSON = Person(
    shape={
        f"{_MACRO}caucasian-male-young": 1.0,
        f"{_MACRO}universal-male-young-averagemuscle-averageweight": 1.0,
        "nose/nose-scale-depth-incr": 0.2,
        "chin/chin-width-incr": 0.3,
        f"{_UNIT}mouth-corner-puller": 0.25,
    },
    skin="young_lightskinned_male_diffuse3_2048",
    hair="short02",
    eyes="brownlight",
    brows="eyebrow001",
)
_COLLAR_MM = 88.0  # height of the collar at the nape, head space
_CLOTH = np.array([0.20, 0.32, 0.42])
_SKIN = np.array([0.80, 0.62, 0.50])


def mouth_opening(time_s: np.ndarray | float) -> np.ndarray:
    """Return how far the mouth is open, 0…1, at times in seconds; also loudness of the voice."""
    time_s = np.asarray(time_s, float)
    syllables = np.sin(2 * np.pi * 2.6 * time_s) * np.sin(2 * np.pi * 0.9 * time_s + 0.6)
    phrase = np.clip(4 * np.sin(2 * np.pi * time_s / 3.4 + 0.25), 0, 1)
    return np.clip(0.25 + syllables, 0, 1) * phrase


def eyes_closed(time_s: float) -> float:
    """Return how far the lids are down, 0…1; a blink takes a quarter of a second."""
    return float(sum(max(0.0, 1 - abs(time_s - blink_s) / 0.12) for blink_s in (0.9, 2.5)))


def room(size: tuple[int, int], seed: int = 4) -> np.ndarray:
    """Return a (H, W, 3) uint8 picture of a room, out of focus.

    Args:
        size: (width, height) in pixels.
        seed: of the books on the shelf.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wall = (
        np.array([0.66, 0.62, 0.55])
        * (0.62 + 0.5 * np.exp(-3 * (x**2 + (y - 0.3) ** 2)))[..., None]
    )
    window = ((x > 0.03) & (x < 0.25) & (y > 0.06) & (y < 0.55))[..., None]
    bars = (np.abs(x - 0.14) < 0.008) | (np.abs(y - 0.3) < 0.01)
    picture = np.where(window, np.array([0.86, 0.94, 1.0]) * (1.15 - 0.3 * y[..., None]), wall)
    picture = np.where(window & bars[..., None], np.array([0.55, 0.5, 0.45]), picture)
    for shelf in (0.28, 0.58, 0.88):
        _draw_books(picture, rng, shelf)
    plant = np.exp(-(((x - 0.62) / 0.05) ** 2 + ((y - 0.93) / 0.16) ** 2))[..., None]
    picture = picture * (1 - plant) + plant * np.array([0.16, 0.3, 0.14])
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), width / 220)
    return (255 * soft.clip(0, 1)).astype(np.uint8)


def _draw_books(picture: np.ndarray, rng: np.random.Generator, shelf: float) -> None:
    """Put a board and a row of books on it at the right of the picture, in place."""
    height, width = picture.shape[:2]
    left = 0.68
    while left < 1.0:
        wide, tall = rng.uniform(0.014, 0.032), rng.uniform(0.15, 0.22)
        colour = rng.uniform(0.2, 0.6) * (0.75 + rng.uniform(0, 0.4, 3))
        rows = slice(int((shelf - tall) * height), int(shelf * height))
        picture[rows, int(left * width) : int((left + wide) * width)] = colour
        left += wide + (rng.uniform(0.02, 0.06) if rng.uniform() < 0.12 else 0.001)
    board = slice(int(shelf * height), int((shelf + 0.025) * height))
    picture[board, int(0.67 * width) :] = (0.36, 0.26, 0.18)


def talking_head(folder: Path, size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """Render frames of a head that talks, looks around and blinks.

    Args:
        folder: the `makehuman` folder of the data folder.
        size: (width, height) of the frames in pixels.
        count: how many frames, at 25 a second.

    Yields:
        (H, W, 3) uint8 RGB frames.
    """
    library = HeadLibrary(folder)
    large = (size[0] * _OVERSIZE, size[1] * _OVERSIZE)
    background = room(large)
    grain = np.random.default_rng(1)
    focal = 1.2 * max(large)
    camera = np.array([[focal, 0, large[0] / 2], [0, focal, large[1] / 2], [0, 0, 1]])
    with Renderer(large, supersample=1) as renderer:
        for index in range(count):
            time_s = index / FPS
            pose = _body_pose(time_s)
            parts = turned(_parts(library, time_s), _head_turn(time_s))
            light = Light(sun=(-0.75, -0.45, -0.6), ambient=0.5)
            rendering = renderer.render(parts, pose, camera, background, light)
            yield _finished(rendering, pose, camera, size, grain)


def _parts(library: HeadLibrary, time_s: float) -> list[Part]:
    """Return the person's meshes at a time, with lashes and brows made finer."""
    mouth, lids = float(mouth_opening(time_s)), eyes_closed(time_s)
    shape = dict(_PERSON.shape)
    shape[f"{_UNIT}mouth-open"] = 0.42 * mouth
    shape[f"{_UNIT}mouth-protusion"] = 0.25 * float(mouth_opening(time_s + 0.11))
    for side in ("left", "right"):
        shape[f"{_UNIT}eye-{side}-closure"] = lids
        shape[f"{_UNIT}eyebrows-{side}-up"] = 0.4 * float(np.sin(1.9 * time_s) ** 2)
    skin, eyes, brows, lashes, *rest = library.parts(replace(_PERSON, shape=shape))
    return [skin, eyes, _thinned(brows, 0.85, 45), _thinned(lashes, 0.35, 25), *rest]


def _thinned(part: Part, share: float, lift: int) -> Part:
    """Return the part with a share of its alpha and its black lifted to a brown."""
    texture = part.texture.copy()
    texture[..., :3] = np.maximum(texture[..., :3], np.array([1.0, 0.72, 0.5]) * lift)
    texture[..., 3] = (texture[..., 3] * share).astype(np.uint8)
    return replace(part, texture=texture)


def _head_turn(time_s: float) -> np.ndarray:
    """Return (3,) the head's turn against the body: axis × angle, radians."""
    yaw = 11 * np.sin(2 * np.pi * time_s / 2.9)
    pitch = 4 * np.sin(2 * np.pi * time_s / 1.7 + 1) + 2
    roll = 3 * np.sin(2 * np.pi * time_s / 2.3 + 2)
    return np.radians([pitch, yaw, roll])


def _body_pose(time_s: float) -> np.ndarray:
    """Return the (4, 4) camera_from_head of the body, which sways a little."""
    pose = np.eye(4)
    sway = 7 * np.sin(2 * np.pi * time_s / 3.1), 3 * np.sin(2 * np.pi * time_s / 2.2)
    pose[:3, 3] = sway[0], -22 + sway[1], _DISTANCE_MM
    return pose


def _finished(
    rendering: Rendering,
    pose: np.ndarray,
    camera: np.ndarray,
    size: tuple[int, int],
    grain: np.random.Generator,
) -> np.ndarray:
    """Dress, shade and shrink a rendering to the size of the clip."""
    picture = rendering.pixels.astype(np.float32) / 255
    picture = _dressed(picture, rendering, pose, camera)
    picture *= _open_sky(rendering)[..., None]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 0.5)
    grainy = soft + grain.normal(0, 0.006, (*soft.shape[:2], 1))
    return (255 * grainy.clip(0, 1)).round().astype(np.uint8)


def _dressed(
    picture: np.ndarray, rendering: Rendering, pose: np.ndarray, camera: np.ndarray
) -> np.ndarray:
    """Recolour the skin below the collar as a shirt: each pixel's place in space is known."""
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    depth = rendering.depth_mm
    across_mm = (x - camera[0, 2]) / camera[0, 0] * depth - pose[0, 3]
    down_mm = (y - camera[1, 2]) / camera[1, 1] * depth - pose[1, 3]
    forward_mm = depth - pose[2, 3]
    front = ((38 - forward_mm) / 62).clip(0, 1)  # the neck of the shirt is cut lower there
    below_mm = down_mm - _COLLAR_MM - 72 * front**2 * (3 - 2 * front)
    below_mm = np.where(rendering.labels == HAIR, -99, np.nan_to_num(below_mm, nan=-99))
    cloth = (below_mm / 1.5).clip(0, 1)[..., None].astype(np.float32)
    seam = 1 - 0.35 * np.exp(-(((below_mm - 11) / 1.8) ** 2))[..., None]
    weave = 1 + 0.03 * np.sin(2.2 * down_mm + 3 * np.sin(0.05 * across_mm))[..., None]
    shirt = picture / _SKIN * _CLOTH * seam * np.nan_to_num(weave, nan=1.0)
    return (picture * (1 - cloth) + shirt * cloth).astype(np.float32)


def _open_sky(rendering: Rendering) -> np.ndarray:
    """Return (H, W) float32 shading, 0…1: dark where nearer things around take the light."""
    depth = np.nan_to_num(rendering.depth_mm, nan=_DISTANCE_MM * 1.2).astype(np.float32)
    shade = np.ones_like(depth)
    head = np.isin(rendering.labels, (FACE, HAIR, MOUTH, EYES))
    for sigma_px, depth_mm in ((5, 14.0), (18, 45.0), (44, 90.0)):
        nearer = depth - cv2.GaussianBlur(depth, (0, 0), sigma_px)
        shade *= 1 - 0.42 * (nearer / depth_mm).clip(0, 1)
    inner = rendering.labels == MOUTH
    shade[inner] = shade[inner] * 0.8 + 0.1
    shade[~head & np.isnan(rendering.depth_mm)] = 1.0
    return cv2.GaussianBlur(shade, (0, 0), 1.2)
