"""The source of a face swap: one person's shape and evenly lit texture, from one or more photos."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import UserError
from stream.flatten import flatten
from stream.head_model import load_head_model
from stream.networks import Networks, NetworkSettings
from stream.swap.brows import brow_heights
from stream.swap.contrast import depth_of_darks
from stream.swap.likeness import Likeness
from stream.swap.shape import EYES_MM
from stream.swap.source_cache import SourceCache, source_key
from stream.swap.source_face import USUAL_DEPTH, SourceFace
from stream.swap.source_photo import PhotoReader, PhotoSpec
from stream.swap.source_shape import lasting
from stream.swap.source_skin import fitted_vertices, photo_skin
from stream.swap.tension import Tension, fold_levels, folded_texels, softened, without_folds
from stream.swap.texture_complete import completed, with_margins, with_mouth_inside
from stream.swap.texture_light import cast_shadow, display_from_linear
from stream.swap.texture_map import label_map
from stream.swap.texture_relief import without_relief

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.head_model import HeadModel
    from stream.swap.source_photo import SourcePhoto
from stream.swap.source_skin import PhotoSkin

__all__ = ["SIZE", "SourceFace", "flat_picture", "make_source", "prepare_source"]

_log = logging.getLogger("voltface")

SIZE = 1024  # texels
_SKIN = 1
_NETWORKS = ("face_3dmm", "head_segmentation")


def prepare_source(
    paths: Sequence[Path | str],
    engine: str = "auto",
    *,
    size: int = SIZE,
    networks: Networks | None = None,
    cache: SourceCache | None = None,
) -> SourceFace:
    """Return the source of one or more photos of one person, from the cache where it is there.

    Args:
        paths: the photos; ``photo.jpg#2`` takes the second face from the left.
        engine: what runs the networks; see `--engine`.
        size: side of the texture in texels.
        networks: opened ones, where the caller has them; else they are opened and closed here.
        cache: where prepared sources are kept; the user's cache folder unless given.

    Returns:
        The source. What could be better about the photos is logged and told by its warnings.

    Raises:
        UserError: if a file cannot be read, or shows no face that can be used.
    """
    cache = cache or SourceCache()
    names = [name for name in _NETWORKS if networks is None or networks.get(name) is not None]
    key = _key(paths, size, names)
    source = cache.find(key) if key else None
    if source is None:
        source = _made(paths, engine, size, networks)
        if key:
            cache.store(key, source)
    for warning in source.warnings:
        _log.warning("%s", warning)
    return source


def _key(paths: Sequence[Path | str], size: int, names: Sequence[str]) -> str | None:
    """Return the key of a source, or None where a photo cannot be read, which is told later."""
    try:
        return source_key([PhotoSpec.parse(path) for path in paths], size, names)
    except OSError:
        return None


def _made(
    paths: Sequence[Path | str], engine: str, size: int, networks: Networks | None
) -> SourceFace:
    if networks is not None:
        return make_source(paths, networks, engine, size=size)
    wanted = NetworkSettings(hair_depth=False, refine=False)
    with Networks(wanted, engine) as opened:
        return make_source(paths, opened, engine, size=size)


def make_source(
    paths: Sequence[Path | str], networks: Networks, engine: str = "auto", *, size: int = SIZE
) -> SourceFace:
    """Make a source anew; arguments and errors as in `prepare_source`."""
    if not paths:
        raise UserError("no source photo is given", "a swap needs one", "Give --source photo.jpg")
    model = load_head_model()
    with PhotoReader(model, networks) as reader, Likeness(engine) as likeness:
        photos = reader.read([PhotoSpec.parse(path) for path in paths])
        return fused(photos, model, size, likeness)


def flat_picture(
    path: Path | str, engine: str = "auto", *, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Flatten the face of a photo as it is, with its light and what lies before it (3DMM-STN).

    Args:
        path: the photo; ``photo.jpg#2`` takes the second face from the left.
        engine: what runs the networks; see `--engine`.
        size: side of the texture in texels.

    Returns:
        (S, S, 3) uint8 RGB laid over white, and (S, S) uint8 opacity, 0 where the head hides
        the texel itself or it lies off the photo.

    Raises:
        UserError: if the file cannot be read, or shows no face.
    """
    model = load_head_model()
    wanted = NetworkSettings(head_segmentation=False, hair_depth=False, refine=False)
    with Networks(wanted, engine) as networks, PhotoReader(model, networks) as reader:
        (photo,) = reader.read([PhotoSpec.parse(path)])
    _, vertices = fitted_vertices(photo, model)
    flat = flatten(photo.pixels, vertices, photo.head.camera, model, size)
    opacity = np.round(255 * flat.seen).astype(np.uint8)
    share = opacity[..., None].astype(np.float32) / 255
    over_white = flat.colours * share + 255 * (1 - share)
    return np.round(over_white).astype(np.uint8), opacity


def fused(
    photos: Sequence[SourcePhoto], model: HeadModel, size: int, likeness: Likeness
) -> SourceFace:
    """Make one source of photos that were found and fitted together."""
    skins = [photo_skin(photo, model, size) for photo in photos]
    warnings = [
        words
        for skin, photo in zip(skins, photos, strict=True)
        for words in skin.quality.check(photo.spec.name)
    ]
    trust = np.array([skin.quality.weight for skin in skins])
    trust /= trust.sum()
    best = skins[int(np.argmax(trust))]
    albedo, seen = blended(skins, trust)
    lit = seen * (
        1 - cast_shadow(albedo, seen)
    )  # what lies in shadow, the mirror half knows better
    whole = completed(albedo, lit, best.expected, model)
    expression = photos[int(np.argmax(trust))].head.expression
    whole, folds = without_folds(whole, folded_texels(Tension(model, expression), model, size))
    whole = without_relief(whole, best.expected, model)
    whole = with_margins(with_mouth_inside(whole, best.level, model), model)
    texture = np.round(display_from_linear(whole)).astype(np.uint8)
    on_skin = (label_map(model, size) == _SKIN) & (seen > 0.5)
    shown = texture[on_skin] if on_skin.any() else texture.reshape(-1, 3)
    seen_as = [
        likeness.describe(photo.pixels, photo.head, skin.offset_mm)
        for photo, skin in zip(photos, skins, strict=True)
    ]
    offset = np.tensordot(trust, np.stack([skin.offset_mm for skin in skins]), 1)
    return SourceFace(
        identity=photos[0].head.identity,
        offset_mm=lasting(offset, model),
        texture=texture,
        folds=fold_levels(softened(folds)),
        expression=expression,
        brows=_brows(photos, trust, model),
        seen=np.round(255 * seen).astype(np.uint8),
        skin_mean=shown.mean(axis=0).astype(np.float32),
        skin_sd=shown.std(axis=0).astype(np.float32),
        descriptor=likeness.mean(seen_as),
        names=tuple(photo.spec.name for photo in photos),
        warnings=tuple(warnings),
        depth=_depth(photos[int(np.argmax(trust))]),
    )


def _brows(photos: Sequence[SourcePhoto], trust: np.ndarray, model: HeadModel) -> np.ndarray:
    heights = [brow_heights(model, photo.head, photo.face.points_px[:, :2]) for photo in photos]
    return (trust @ np.stack(heights)).astype(np.float32)


def _depth(photo: SourcePhoto) -> float:
    head = photo.head
    eyes_px = EYES_MM * float(head.camera[0, 0] / head.camera_from_head[2, 3])
    found = depth_of_darks(photo.pixels, photo.face.points_px[:, :2], eyes_px)
    return USUAL_DEPTH if found is None else found


def blended(skins: Sequence[PhotoSkin], trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blend the photos' skins, each brought to the colour of the best.

    Args:
        skins: of the photos.
        trust: (N,) in each photo, adding up to 1.

    Returns:
        (S, S, 3) linear albedo, and (S, S) how well any photo shows each texel.
    """
    if len(skins) == 1:
        return skins[0].albedo, skins[0].seen
    best = skins[int(np.argmax(trust))]
    total = np.zeros(best.seen.shape, np.float32)
    mixed = np.zeros_like(best.albedo)
    for share, skin in zip(trust, skins, strict=True):
        # Sharply, so that two views which do not quite agree do not blur each other.
        weight = (np.float32(share) * skin.seen) ** 3
        mixed += weight[..., None] * skin.albedo * _gain(skin, best)
        total += weight
    seen = 1 - np.prod([1 - skin.seen for skin in skins], axis=0)
    return mixed / np.maximum(total, 1e-9)[..., None], seen.astype(np.float32)


def _gain(skin: PhotoSkin, best: PhotoSkin) -> np.ndarray:
    """Return the (3,) gain that brings one photo's skin to the colour of another's."""
    both = np.minimum(skin.seen, best.seen) > 0.5
    if both.sum() < 100:
        return best.level / skin.level
    logs = np.log(best.albedo[both] + 1e-3) - np.log(skin.albedo[both] + 1e-3)
    return np.exp(np.median(logs, axis=0))
