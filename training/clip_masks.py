"""Masks of people in real frames: by the colour of a backdrop, or by the person network."""

import cv2
import numpy as np

from stream.frame import Head
from stream.geometry import project, transform_points
from stream.head_model import HeadModel
from stream.matte import MatteSettings, MatteState, head_matte
from stream.region import Region
from stream.segment import PersonSegmenter

_CHIN = 152  # tracked point
_NECK_MM = (8.0, 45.0)  # below the chin over which the head's mask fades
# Share of the backdrop's own key at which a pixel is wholly person, and wholly backdrop.
_KEY_RANGE = (0.15, 0.85)
_LEAST_KEY = 0.18  # of a backdrop, as a share of its brightness
_BACKDROP_SHARE = 0.7  # of the frame's border that shows it
_EDGE_PX = 4  # of a frame, often black
_HOLE_KEY = 0.75


def person_mask(
    frame_rgb: np.ndarray, head: Head, region: Region, parts: tuple[HeadModel, PersonSegmenter]
) -> tuple[np.ndarray, bool]:
    """Matte the person.

    Args:
        frame_rgb: (H, W, 3) uint8.
        head: the fitted head; what does not hang on it is no part of the person.
        region: what the person network looks at, where there is no backdrop.
        parts: the head model and the network.

    Returns:
        (H, W) float32 matte, and whether a backdrop gave it.
    """
    if has_chroma_backdrop(frame_rgb):
        return chroma_key_mask(frame_rgb), True
    model, segmenter = parts
    crop = np.ascontiguousarray(region.crop(frame_rgb))
    probability = segmenter.segment(crop)
    prior = _head_prior(model, head, region, probability.shape)
    settings = MatteSettings(size=max(256, min(640, max(crop.shape[:2]))))
    matte = head_matte(crop, probability, prior, settings, MatteState())
    mask = np.zeros(frame_rgb.shape[:2], np.float32)
    region.crop(mask)[:] = cv2.resize(matte, (region.width, region.height)).clip(0, 1)
    return mask, False


def _head_prior(model: HeadModel, head: Head, region: Region, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the hull of the bare projected skull on the region."""
    skull = np.isin(model.labels, (1, 2, 3))
    vertices = model.shape(head.identity, head.expression)[skull]
    points = project(transform_points(head.camera_from_head, vertices), head.camera)
    scale = np.array([shape[1] / region.width, shape[0] / region.height])
    hull = cv2.convexHull(np.rint((points - [region.x0, region.y0]) * scale).astype(np.int32))
    prior = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(prior, hull, 1)
    return prior.astype(np.float32)


def _key(frame_rgb: np.ndarray) -> np.ndarray:
    """(H, W) float32 how much less red a pixel is than green and blue; skin and hair are ≤ 0."""
    red, green, blue = cv2.split(frame_rgb.astype(np.float32))
    return np.minimum(green, blue) - red


def _border(shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool, a band along the top and the upper two thirds of both sides."""
    height, width = shape[:2]
    band = np.zeros((height, width), bool)
    deep = max(4, width // 24)
    inner = band[_EDGE_PX:, _EDGE_PX : width - _EDGE_PX]
    inner[:deep] = True
    inner[: 2 * height // 3, :deep] = inner[: 2 * height // 3, -deep:] = True
    return band


def has_chroma_backdrop(frame_rgb: np.ndarray) -> bool:
    """Tell whether the border of a frame shows a blue or cyan backdrop."""
    if min(frame_rgb.shape[:2]) < 32:
        return False
    band = _border(frame_rgb.shape)
    bright = frame_rgb[band].max(1).astype(np.float32)
    keyed = (_key(frame_rgb)[band] > _LEAST_KEY * bright) & (bright > 40)
    return bool(keyed.mean() > _BACKDROP_SHARE)


def chroma_key_mask(frame_rgb: np.ndarray) -> np.ndarray:
    """Matte a person before a blue or cyan backdrop, as the GRID corpus has it.

    The key of the backdrop is a smooth surface over the frame, learnt from its surely empty
    part; a pixel is backdrop by the share of that key that it shows. Spill on skin and hair
    stays below the lower bound. What is cut off from the person is dropped, holes without the
    backdrop's full colour are filled.

    Args:
        frame_rgb: (H, W, 3) uint8.

    Returns:
        (H, W) float32, 1 on the person.
    """
    key = cv2.GaussianBlur(_key(frame_rgb), (0, 0), 0.6)
    backdrop = np.maximum(_backdrop_key(key, frame_rgb), 8.0).astype(np.float32)
    low, high = _KEY_RANGE
    person = _person_key(key, backdrop)
    share = (key - person) / (backdrop - person)
    empty = np.clip((share - low) / (high - low), 0, 1)
    alpha = (1 - empty).astype(np.float32)
    edge = _EDGE_PX // 2  # the outermost lines of analogue video are black
    alpha[edge:, edge:-edge] = _tidy(alpha[edge:, edge:-edge], share[edge:, edge:-edge])
    alpha[:edge] = alpha[edge]
    alpha[:, :edge], alpha[:, -edge:] = alpha[:, edge, None], alpha[:, -edge - 1, None]
    return alpha


def _backdrop_key(key: np.ndarray, frame_rgb: np.ndarray) -> np.ndarray:
    """(H, W) the backdrop's key: a cubic surface through what is surely backdrop."""
    height, width = key.shape
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
    inner = np.zeros(key.shape, bool)
    inner[_EDGE_PX:, _EDGE_PX:-_EDGE_PX] = True
    sure = inner & (key > 0.5 * _LEAST_KEY * frame_rgb.max(2)) & _border(key.shape)
    surface = np.full(key.shape, np.median(key[sure]) if sure.any() else 1.0)
    for _ in range(4):
        fit, *_rest = np.linalg.lstsq(terms[sure], key[sure], rcond=None)
        surface = np.maximum(terms @ fit, 0.3 * np.median(key[sure]))
        sure = inner & (np.abs(key - surface) < 0.25 * surface)
    return surface


def _person_key(key: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """(H, W) the key of the person next to each pixel: skin has far less of it than black hair."""
    inside = cv2.erode((key < 0.3 * backdrop).astype(np.float32), np.ones((7, 7), np.uint8))
    weight = cv2.GaussianBlur(inside, (0, 0), 4.0)
    near = cv2.GaussianBlur(inside * np.minimum(key, 0.3 * backdrop), (0, 0), 4.0)
    return near / np.maximum(weight, 1e-3)


def _tidy(alpha: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Keep the person alone, and fill holes that do not show the backdrop."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.3).astype(np.uint8))
    if len(stats) < 2:
        return alpha
    person = parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    near = cv2.dilate(person.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    out = np.where(near, alpha, 0.0).astype(np.float32)
    count, holes = cv2.connectedComponents((out < 0.95).astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([holes[0], holes[:, 0], holes[:, -1]]))
    for number in range(1, count):
        inside = holes == number
        if number not in outside and share[inside].max() < _HOLE_KEY:
            out[inside] = 1.0
    return out


def above_chin(
    camera_from_head: np.ndarray, intrinsics: np.ndarray, points_px: np.ndarray, size: int
) -> np.ndarray:
    """Return (S, S) float32, 1 above the chin in the head's own upright, 0 on the neck below."""
    down = camera_from_head[:2, 1] / np.linalg.norm(camera_from_head[:2, 1]).clip(1e-6)
    mm_per_px = camera_from_head[2, 3] / intrinsics[0, 0]
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    chin = points_px[_CHIN, :2]
    below = ((x - chin[0]) * down[0] + (y - chin[1]) * down[1]) * mm_per_px
    share = np.clip((below - _NECK_MM[0]) / (_NECK_MM[1] - _NECK_MM[0]), 0, 1)
    return (1 - share * share * (3 - 2 * share)).astype(np.float32)
