"""The skin of one photo in the texture map, with light, hair and things taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stream.face_3dmm import load_skin_model
from stream.flatten import (
    FlatTexture,
    SampleGrid,
    flatten_by,
    sample_grid,
)
from stream.geometry import smoothstep, transform_points, vertex_normals
from stream.pose import ray_rotation
from stream.sight import EAR, EYES, FACE, HAIR, MOUTH, NECK, OCCLUDER
from stream.swap.glasses import Glasses
from stream.swap.source_quality import Quality, judge
from stream.swap.source_shape import residual_offset
from stream.swap.texture_light import (
    display_from_linear,
    estimate_light,
    linear_from_display,
    shading,
    without_broad_error,
    without_creases,
    without_gloss,
    without_shading,
    without_uneven_light,
)
from stream.swap.texture_map import SameModel, label_map, texel_map

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.swap.source_photo import SourcePhoto

_SKIN, _EAR, _NECK, _MOUTH = 1, 3, 4, 5
_GREY = 8.0  # grey levels between the channels: hues less than this are none
_LUMA = np.array([0.3, 0.59, 0.11], np.float32)
_SHOWN = (FACE, EAR, NECK, MOUTH, EYES)  # what the networks may call a texel that is kept
_SURE = (0.55, 0.95)  # share of those
_CORNER_MM, _CORNER_SHARE = (3.0, 9.0), 0.8  # from the corners of the mouth
_LEAST_SEEN = 0.05
_FRINGE_RIM, _BROW_WIDTH = 5, 9  # likewise: rim of a fringe above brows, which are thinner
_HAIR_RIM = 7  # pixels of the crop as the networks see it, about 1.5 mm each
_BEARD_MM = (38.0, 48.0)  # from the middle of the face: a beard, and hair that hangs
_THINGS = 2.0  # how much an uncertain thing counts
_EYE_CORNERS, _GLASSES_RIM = (33, 263), 0.015  # outer ones; of their distance, with its shadow
_LIGHT_TEXELS = 30_000  # are plenty for 27 numbers
_ENOUGH = 0.02  # of the texels, to know the light by
_STRANGE_REACH = 0.006  # of the texture's side, around what is strange
_STRANGE = (0.3, 0.65)  # of log colour: from skin to what is surely hair, collar or a cap
_RAISED, _RAISED_DISTRUST = (1.5, 3.0), 0.8
_ABOVE_BROWS_MM = 7.0
_TIP_WIDTH, _TIP_REACH, _TIP_RIM = 0.03, 0.04, 0.012  # of the side: of tips, below hair, beside
_TIP = (0.08, 0.2)  # of log colour, darker than beside
_FOREHEAD_MM, _OFF_BROWS_MM = (1.0, 4.0), (5.0, 8.0)


@dataclass(frozen=True, slots=True)
class PhotoSkin:
    """One photo's texture with its light taken away.

    Attributes:
        albedo: (S, S, 3) float32 linear, at the photo's own exposure and colour.
        seen: (S, S) float32, 0…1, how well the photo shows each texel.
        expected: (S, S, 3) float32 linear, the skin model's, at the level of ``albedo``.
        level: (3,) float32, gain that brought it there.
        offset_mm: (V, 3) float32, head space.
        quality: of the photo.
    """

    albedo: np.ndarray
    seen: np.ndarray
    expected: np.ndarray
    level: np.ndarray
    offset_mm: np.ndarray
    quality: Quality


def photo_skin(photo: SourcePhoto, model: HeadModel, size: int) -> PhotoSkin:
    """Flatten one photo, leave out what is not the face, and take its light away.

    Args:
        photo: found and fitted.
        model: the head model.
        size: side of the texture in texels.
    """
    head = photo.head
    offset, vertices = fitted_vertices(photo, model)
    grid = sample_grid(vertices, head.camera, model, size)
    flat = flatten_by(grid, photo.pixels)
    kept = kept_share(photo, grid, model)
    seen = flat.seen * kept * beside_glasses(photo, grid)
    expected = expected_albedo(photo, model, size)
    if is_grey(photo):
        flat = replace(flat, colours=tinted(flat.colours, expected))
    normals = ray_normals(vertices, head.camera_from_head, model, size)
    albedo, usable = _unlit(flat, seen, expected, normals, model)
    albedo = without_creases(albedo, seen, _mouth_corners(SameModel(model), size))
    seen = seen * _plausible(albedo, linear_from_display(flat.colours))
    level = _level(albedo, expected, usable)
    seen = seen * _familiar(albedo, expected * level, seen, model)
    seen = seen * beside_tips(albedo, kept, model)
    seen[seen < _LEAST_SEEN] = 0  # filling would make much of a little that is wrong
    front = front_of_face(model, size)
    share = float((seen * front).sum() / max(float(front.sum()), 1.0))
    bright = float(np.median(flat.colours[usable])) / 255 if usable.any() else 0.0
    return PhotoSkin(albedo, seen, expected * level, level, offset, judge(photo, share, bright))


def is_grey(photo: SourcePhoto) -> bool:
    """Return whether a photo has no hues: its red lips would be black ones."""
    points = photo.face.points_px[:, :2]
    (x0, y0), (x1, y1) = points.min(axis=0).astype(int).clip(0), points.max(axis=0).astype(int)
    face = photo.pixels[y0:y1, x0:x1].reshape(-1, 3).astype(int)
    return len(face) > 0 and float(np.percentile(np.ptp(face, axis=1), 98)) < _GREY


def tinted(colours: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return colours (S, S, 3), 0…255, as bright as they were, in the hues of an albedo."""
    hue = expected / np.maximum(expected @ _LUMA, 1e-4)[..., None]
    return display_from_linear(linear_from_display(colours) * hue)


def fitted_vertices(photo: SourcePhoto, model: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the residual offset (V, 3) in head space, and the vertices (V, 3) in camera space."""
    head = photo.head
    offset = residual_offset(model, head, photo.face)
    shape = model.shape(head.identity, head.expression) + offset
    return offset, transform_points(head.camera_from_head, shape)


def _unlit(
    flat: FlatTexture, seen: np.ndarray, expected: np.ndarray, normals: np.ndarray, model: HeadModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return the albedo (S, S, 3), and the texels (S, S) whose skin said what the light is."""
    linear = linear_from_display(flat.colours)
    skin = (label_map(model, len(seen)) == _SKIN).astype(np.float32)
    usable = seen * skin > 0.3
    if usable.mean() < _ENOUGH:
        return linear, usable
    some = np.flatnonzero(usable)[:: max(1, int(usable.sum()) // _LIGHT_TEXELS)]
    colours, skins, facing = (part.reshape(-1, 3)[some] for part in (linear, expected, normals))
    light = estimate_light(colours, skins, facing, seen.ravel()[some])
    shade = shading(light, normals)
    albedo = without_shading(linear, shade, expected, seen * skin)
    albedo = without_gloss(albedo, seen, skin)
    albedo = without_uneven_light(albedo, seen)
    return without_broad_error(albedo, expected, seen * skin), usable


def _plausible(albedo: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Return (S, S) trust: little where much light was added, and noise with it."""
    raised = np.log(albedo + 0.004).mean(axis=2) - np.log(linear + 0.004).mean(axis=2)
    return 1 - _RAISED_DISTRUST * smoothstep(raised, *np.log(_RAISED))


def kept_share(photo: SourcePhoto, grid: SampleGrid, model: HeadModel) -> np.ndarray:
    """Return (S, S) 0…1, where the photo shows the head itself and not hair or things.

    Around mouth and chin, hair is a beard and stays; elsewhere, it colours the skin beside it.
    """
    sight = photo.sight
    share, things, hair = sight.share(*_SHOWN), sight.share(OCCLUDER), sight.share(HAIR)
    if share is None or things is None or hair is None:
        return np.ones(grid.seen.shape, np.float32)
    things = _THINGS * cv2.dilate(things, np.ones((3, 3), np.uint8))  # frames of glasses are thin
    near_hair = cv2.dilate(hair, np.ones((_HAIR_RIM, _HAIR_RIM), np.uint8))
    fringe = cv2.morphologyEx(hair, cv2.MORPH_OPEN, np.ones((_BROW_WIDTH, _BROW_WIDTH), np.uint8))
    fringe = cv2.dilate(fringe, np.ones((_FRINGE_RIM, _FRINGE_RIM), np.uint8))
    below_fringe = np.minimum(share, 1 - fringe)
    bare = np.minimum(cv2.erode(share, np.ones((3, 3), np.uint8)), 1 - near_hair)
    region = photo.region
    corner = np.array([region.x0, region.y0], np.float32)
    scale = np.array(share.shape[::-1], np.float32) / (region.width, region.height)
    in_crop = SampleGrid(((grid.places_px - corner) * scale).astype(np.float32), grid.seen)
    beards, brows = _hairy_regions(SameModel(model), len(grid.seen))
    kept = np.zeros_like(grid.seen)
    for part, where in ((share + hair, beards), (below_fringe, brows), (bare, 1 - beards - brows)):
        allowed = np.minimum(part, 1 - things).astype(np.float32)
        kept += where * smoothstep(in_crop.sample(allowed), *_SURE)
    return kept


def beside_glasses(photo: SourcePhoto, grid: SampleGrid) -> np.ndarray:
    """Return (S, S) 0…1, 0 where the photo shows the frame of glasses, which labels miss."""
    points, region = photo.face.points_px[:, :2], photo.region
    frame = Glasses()(photo.pixels, points, region)
    if frame is None:
        return np.ones(grid.seen.shape, np.float32)
    apart = float(np.linalg.norm(points[_EYE_CORNERS[1]] - points[_EYE_CORNERS[0]]))
    grown = cv2.dilate(frame, np.ones((2 * round(_GLASSES_RIM * apart) + 1,) * 2, np.uint8))
    places = (grid.places_px - np.array(region[:2])).astype(np.float32)
    shown = SampleGrid(places, grid.seen).sample(grown.astype(np.float32))
    return (1 - np.clip(shown / 128, 0, 1)).astype(np.float32)


@lru_cache(maxsize=4)
def _hairy_regions(key: SameModel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two (S, S) float32: 1 from under the nose to the chin, and 1 about the brows."""
    model, points = key.model, key.model.points68()
    x, y = np.abs(model.vertices[:, 0]), model.vertices[:, 1]
    beard = smoothstep(y - points[33, 1], -4.0, 4.0) * (1 - smoothstep(x, *_BEARD_MM))
    above = np.abs(y - np.interp(x, *_brow_line(points)))
    brow = 1 - smoothstep(np.maximum(above - 4.0, x - np.abs(points[26, 0])), 0.0, 4.0)
    where = np.isin(model.labels, (_SKIN, _MOUTH))
    painted = texel_map(model, size).painted(np.stack([beard * where, brow * where], axis=1))
    return painted[..., 0], painted[..., 1]


def expected_albedo(photo: SourcePhoto, model: HeadModel, size: int) -> np.ndarray:
    """Return (S, S, 3) linear albedo of the skin that the network face_3dmm sees."""
    skin = load_skin_model()
    albedo = skin.mean if photo.guess is None else skin.albedo(photo.guess.texture)
    if len(albedo) != len(model.vertices):  # another maker's model
        albedo = np.broadcast_to(albedo.mean(axis=0), model.vertices.shape)
    return np.maximum(texel_map(model, size).painted(albedo, missing=0.2), 0.004)


def ray_normals(
    vertices: np.ndarray, camera_from_head: np.ndarray, model: HeadModel, size: int
) -> np.ndarray:
    """Return (S, S, 3) unit normals in the ray frame of `stream.face_3dmm`.

    Args:
        vertices: (V, 3) camera space.
        camera_from_head: (4, 4).
        model: the head model.
        size: side of the texture in texels.
    """
    normals = vertex_normals(vertices, model.triangles) @ ray_rotation(camera_from_head[:3, 3])
    painted = texel_map(model, size).painted(normals)
    return painted / np.maximum(np.linalg.norm(painted, axis=2, keepdims=True), 1e-6)


@lru_cache(maxsize=4)
def _mouth_corners(key: SameModel, size: int) -> np.ndarray:
    """Return (S, S) 0…1, about the corners of the mouth: what a smile shades there is dark."""
    model = key.model
    away = cKDTree(model.points68()[[48, 54]]).query(model.vertices)[0]
    near = _CORNER_SHARE * (1 - smoothstep(away, *_CORNER_MM)) * (model.labels == _SKIN)
    return texel_map(model, size).painted(near[:, None].astype(np.float32))[..., 0]


def _level(albedo: np.ndarray, expected: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the (3,) gain that brings the expected skin to the level of the found one."""
    if not usable.any():
        return np.ones(3, np.float32)
    return np.exp(np.median(np.log(albedo[usable] + 1e-3) - np.log(expected[usable]), axis=0))


def _familiar(
    albedo: np.ndarray, expected: np.ndarray, seen: np.ndarray, model: HeadModel
) -> np.ndarray:
    """Return (S, S) 0…1: 0 where forehead, sides, ears or neck do not look like skin.

    Strands of hair, collars and caps are finer or lie nearer than the labels tell. Elsewhere,
    what is unlike skin is a brow, a beard or a mole, and stays; on the sides, what is dark may
    be whiskers, and stays too.
    """
    logs = np.log(albedo + 0.01) - np.log(expected + 0.01)
    soft = cv2.GaussianBlur(logs, (0, 0), 0.004 * len(albedo))
    level = soft.mean(axis=2)
    hue = np.abs(soft - level[..., None]).max(axis=2)
    bare, side = bare_regions(SameModel(model), len(seen))
    strange = np.maximum(
        bare * smoothstep(np.abs(level) + 2 * hue, *_STRANGE),
        side * smoothstep(np.maximum(level, 0) + 2 * hue, *_STRANGE),
    )
    wide = 2 * round(_STRANGE_REACH * len(albedo)) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
    return 1 - cv2.GaussianBlur(cv2.dilate(strange, around), (0, 0), wide / 4)


def beside_tips(albedo: np.ndarray, kept: np.ndarray, model: HeadModel) -> np.ndarray:
    """Return (S, S) 0…1, 0 at the tips of a fringe, which are finer than the labels tell.

    Above the brows, what is narrow, darker than the skin and hangs on what was left out is hair.
    """
    size = len(albedo)
    logs = cv2.GaussianBlur(np.log(albedo.mean(axis=2) + 0.01), (0, 0), 0.002 * size)
    darker = cv2.morphologyEx(logs, cv2.MORPH_CLOSE, _disc(_TIP_WIDTH * size)) - logs
    hair = (kept < 0.5).astype(np.float32)
    near = cv2.dilate(hair, _disc(2 * _TIP_REACH * size)) * _above_brows(SameModel(model), size)
    tips = cv2.dilate(near * smoothstep(darker, *_TIP), _disc(_TIP_RIM * size))
    return 1 - cv2.GaussianBlur(tips.astype(np.float32), (0, 0), _TIP_RIM * size / 4)


def _disc(width: float) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(width) | 1,) * 2)


@lru_cache(maxsize=4)
def _above_brows(key: SameModel, size: int) -> np.ndarray:
    """Return (S, S) float32, 1 on the forehead off the brows themselves."""
    model, points = key.model, key.model.points68()
    x, y = np.abs(model.vertices[:, 0]), model.vertices[:, 1]
    above = np.interp(x, *_brow_line(points)) - y
    off = cKDTree(points[17:27]).query(model.vertices)[0]
    where = smoothstep(above, *_FOREHEAD_MM) * smoothstep(off, *_OFF_BROWS_MM)
    return texel_map(model, size).painted((where * (model.labels == _SKIN))[:, None])[..., 0]


@lru_cache(maxsize=4)
def bare_regions(key: SameModel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two (S, S) float32: 1 where a face has only plain skin, and on its sides."""
    model, points = key.model, key.model.points68()
    x, y, _ = model.vertices.T
    skin = model.labels == _SKIN
    brow_y = np.interp(np.abs(x), *_brow_line(points))
    forehead = smoothstep(brow_y - _ABOVE_BROWS_MM - y, 0.0, 6.0)
    edge = float(np.abs(points[[17, 26], 0]).mean())
    temple = smoothstep(np.abs(x), edge + 4.0, edge + 12.0)
    temple *= smoothstep(points[33, 1] - y, 0.0, 15.0)
    bare = np.where(skin, np.maximum(forehead, temple), 0.0)
    bare = np.where(np.isin(model.labels, (_EAR, _NECK)), 1.0, bare)
    turned = -vertex_normals(model.vertices, model.triangles)[:, 2]
    side = np.where(skin, smoothstep(0.45 - turned, 0.0, 0.3), 0.0)
    painted = texel_map(model, size).painted(np.stack([bare, side], axis=1))
    return painted[..., 0], painted[..., 1]


def _brow_line(points68: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the left brow's |x| in rising order, and y there."""
    brow = points68[22:27]
    order = np.argsort(np.abs(brow[:, 0]))
    return np.abs(brow[order, 0]), brow[order, 1]


def front_of_face(model: HeadModel, size: int) -> np.ndarray:
    """Return (S, S) float32, 1 on the skin between brows, cheeks and chin."""
    return _front(SameModel(model), size)


@lru_cache(maxsize=4)
def _front(key: SameModel, size: int) -> np.ndarray:
    model, points = key.model, key.model.points68()
    facing = -vertex_normals(model.vertices, model.triangles)[:, 2]
    y = model.vertices[:, 1]
    between = (y > points[17:27, 1].min() - 12) & (y < points[8, 1])
    front = (model.labels == _SKIN) & (facing > 0.3) & between
    painted = texel_map(model, size).painted(front[:, None].astype(np.float32))[..., 0]
    return (painted > 0.5).astype(np.float32)
