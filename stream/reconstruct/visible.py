"""How well a picture shows the places of a surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import project, smoothstep

if TYPE_CHECKING:
    from stream.reconstruct.look import HeadLook
    from stream.reconstruct.maps import HeadMaps

_FACING = (0.16, 0.42)  # cosine between sight and surface: not seen, seen well
_HIDDEN_MM = (1.25, 2.5)  # behind what is nearest, along the normal: seen, hidden
_PERSON = (0.75, 0.97)  # matte, shrunk: background shines through less, not at all
_HELD = (0.2, 0.6)
_OTHER_KIND = (0.35, 0.75)  # share of hair where skin is, or of skin where hair is
_STEP_MM = 12.0  # steps in depth between nodes are outlines
_FROM_OUTLINE_MM = (1.5, 4.5)  # the model's outline is not quite the picture's
_OBLIQUE = 0.5  # cosine
_ROWS = 16_384  # that OpenCV's remap takes at once, with room to spare


class Visibility:
    """Tells how well places are seen, and their colours.

    Args:
        look: of the head.
        maps: of its region.
        front_mm: depth of the surface at a grid of nodes over the region, 0 where it is not.
    """

    def __init__(self, look: HeadLook, maps: HeadMaps, front_mm: np.ndarray) -> None:
        self._pixels, self._camera = look.pixels, look.head.camera.astype(np.float32)
        self._region, self._maps, self._front_mm = look.region, maps, front_mm
        # The outline of the matte is half background, and so are its neighbours' pixels.
        self._person = cv2.erode(maps.person, np.ones((5, 5), np.uint8))
        self._inside_mm = _from_outline(front_mm, look)
        # A single lock before the far cheek is thinner than the fit is true.
        self._cover = maps.hair + maps.body
        self._no_skin = 1 - cv2.erode(maps.skin, np.ones((7, 7), np.uint8))

    def weight(self, points: np.ndarray, facing: np.ndarray, covered: np.ndarray) -> np.ndarray:
        """Return (N,) float32 0…1, how well each place is seen.

        Args:
            points: (N, 3) camera space, mm.
            facing: (N,) cosine between the normal and the way to the camera.
            covered: (N,) 0…1, whether it is hair or clothes.
        """
        points, facing = points.astype(np.float32), facing.astype(np.float32)
        places = project(points, self._camera)
        region, (rows, columns) = self._region, self._front_mm.shape
        corner = np.array([region.x0, region.y0], np.float32)
        node = (places - corner) * np.array(
            [(columns - 1) / region.width, (rows - 1) / region.height], np.float32
        )
        hidden = (points[:, 2] - sampled(self._front_mm, node)) * np.clip(facing, 0.2, 1)
        at = self._maps.places(places)
        skin, cover = sampled(self._maps.skin, at), sampled(self._cover, at)
        cover = np.where(facing < _OBLIQUE, sampled(self._no_skin, at), cover)
        other = np.where(covered > 0.6, skin, np.where(covered < 0.4, cover, 0))
        weight = smoothstep(facing, *_FACING) * (1 - smoothstep(hidden, *_HIDDEN_MM))
        weight *= smoothstep(sampled(self._person, at), *_PERSON)
        weight *= 1 - smoothstep(sampled(self._maps.held, at), *_HELD)
        weight *= smoothstep(sampled(self._inside_mm, node), *_FROM_OUTLINE_MM)
        return weight * (1 - smoothstep(other, *_OTHER_KIND))

    def kinds(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 3) float32 0…1, how far the picture shows hair, clothes, skin at places."""
        at = self._maps.places(project(points.astype(np.float32), self._camera))
        maps = np.dstack([self._maps.hair, self._maps.body, self._maps.skin])
        return sampled(maps, at)

    def colours(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 3) float32 what the picture shows at (N, 3) places."""
        places = project(points.astype(np.float32), self._camera) - np.float32(0.5)
        return sampled(self._pixels, places, cv2.BORDER_REPLICATE).astype(np.float32)


def _from_outline(front_mm: np.ndarray, look: HeadLook) -> np.ndarray:
    """Return how far each node lies from the outlines of the surface, mm in the picture."""
    depth = np.where(front_mm > 0, front_mm, front_mm.max() + 1000).astype(np.float32)
    around = np.ones((3, 3), np.uint8)
    step = cv2.dilate(depth, around) - cv2.erode(depth, around)
    smooth = (step < _STEP_MM).astype(np.uint8)
    head = look.head
    node_px = max(look.region.width, look.region.height) / max(front_mm.shape)
    node_mm = node_px * head.camera_from_head[2, 3] / head.camera[0, 0]
    return cv2.distanceTransform(smooth, cv2.DIST_L2, 5) * np.float32(node_mm)


def sampled(
    values: np.ndarray, places: np.ndarray, border: int = cv2.BORDER_CONSTANT
) -> np.ndarray:
    """Return (N, …) values of an (H, W, …) map at (N, 2) columns and rows; 0 outside of it."""
    places = np.ascontiguousarray(places, np.float32)
    columns = 256
    filler = -len(places) % columns
    grid = np.concatenate([places, places[:1].repeat(filler, 0)]).reshape(-1, columns, 2)
    parts = [
        cv2.remap(values, grid[start : start + _ROWS], None, cv2.INTER_LINEAR, borderMode=border)
        for start in range(0, len(grid), _ROWS)
    ]
    found = np.concatenate(parts)
    return found.reshape(-1, *values.shape[2:])[: len(places)]
