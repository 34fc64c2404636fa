"""Fills the chart of a head where the picture does not show it.

First from the mirror half of the head, in the light of its own side; then smoothly, hair from
hair and skin from skin; and hair gets its strands from the hair that is seen, reflected outwards
along the rays from the middle of the chart, which is the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.fill import mean_around, pull_push
from stream.geometry import smoothstep

_GAIN = 1.1  # largest |log| of the light of one side over the other's
_LIGHT, _LIGHT_BLUR = 16, 1.5  # it is found at this fraction of the chart's size, and blurred
_JOIN, _JOIN_REACH = 8, 0.12  # a fraction of the chart's size; share of its side
_DARK = 12.0  # grey levels that damp the ratio of dark colours
_EDGE_REACH = 0.05  # of the chart's side, over which the edge's colours count
_SMALL = 4  # smooth fills are made at a fraction of the chart's size
_SURE = 0.75  # share of a kind, above which a place shows its colours
_WORSE = 0.35  # a place that its mirror shows so much better is taken from there
# Without filling, OpenCV leaves what lies outside of the picture as memory happens to be.
_POLAR = cv2.WARP_POLAR_LINEAR | cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS
_ANGLES, _RADII = 720, 512  # of the polar picture in which hair is continued
_STRAND_MM = 9.0  # what changes over less is strands, over more is shading
_STRONGEST = 45.0  # grey levels that a strand differs from the hair around it
_LEAST_BAND_MM, _MOST_BAND_MM = 8.0, 70.0  # of seen hair that is reflected


@dataclass(frozen=True, slots=True)
class Chart:
    """What is known of a head in its chart, whose mirror of (u, v) is (1 − u, v).

    Attributes:
        colours: (S, S, 3) float32, as the picture shows them.
        weight: (S, S) float32 0…1, how well it does.
        shown: (S, S, 3) float32 0…1, how far the picture shows hair, clothes, skin there.
        hairy, clothed: (S, S) float32 0…1, whether it is hair, and whether it is clothes.
        places_mm: (S, S, 3) float32 places in space, nan beside the surface.
    """

    colours: np.ndarray
    weight: np.ndarray
    shown: np.ndarray
    hairy: np.ndarray
    clothed: np.ndarray
    places_mm: np.ndarray


def completed(chart: Chart, centre_uv: tuple[float, float]) -> np.ndarray:
    """Return (S, S, 3) uint8, the whole head.

    Args:
        chart: what is known.
        centre_uv: the place in the chart from which rays go outwards.
    """
    colours, weight, shown = _with_mirror(chart)
    hair = np.clip((chart.hairy - 0.35) / 0.3, 0, 1)
    cloth = np.clip((chart.clothed - 0.35) / 0.3, 0, 1) * (1 - hair)
    kinds = np.dstack([hair, cloth, 1 - hair - cloth])
    sure = weight[..., None] * (shown > _SURE) * (kinds > 0.5)
    filling = _filling(colours, weight, sure, kinds)
    strands = _strands(colours, sure[..., 0], chart.places_mm, centre_uv)
    filling = filling + strands * hair[..., None]
    filled = filling + weight[..., None] * (colours - filling)
    return np.clip(filled, 0, 255).astype(np.uint8)


def _filling(
    colours: np.ndarray, weight: np.ndarray, sure: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """Return (S, S, 3) float32 smooth colours, each kind of surface from what is seen of it."""
    fills = [_smooth(colours, sure[..., kind]) for kind in range(kinds.shape[2])]
    known = [fill for fill in fills if fill is not None]
    if not known:
        spare = _smooth(colours, weight)
        return np.full_like(colours, 128.0) if spare is None else spare
    total = np.zeros_like(colours)
    for kind, fill in enumerate(fills):
        total += kinds[..., kind, None] * (known[-1] if fill is None else fill)
    return total


def _with_mirror(chart: Chart) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return colours, weights and kinds with the mirror half where it is seen better."""
    own, known = chart.colours, chart.weight
    other, also = own[:, ::-1], known[:, ::-1]
    also = also * (np.abs(chart.hairy - chart.hairy[:, ::-1]) < 0.5)
    # A place that is seen obliquely is better taken from its mirror place, if that is seen well.
    known = known * (1 - smoothstep(also - known, _WORSE * 0.5, _WORSE))
    # Hair before a cheek tells nothing of the cheek's light.
    kinds = np.dstack([chart.hairy, chart.clothed, 1 - chart.hairy - chart.clothed])
    true = ((chart.shown > _SURE) & (kinds > 0.5)).any(axis=2)
    alike = np.abs(chart.clothed - chart.clothed[:, ::-1]) < 0.5
    both = known * true * alike, also * true[:, ::-1]
    other = np.clip(other * _light_ratio(own, other, *both), 0, 255)
    other = np.clip(other * _joined(own, other, both[0] * both[1]), 0, 255)
    borrowed = (1 - known) * also
    total = known + borrowed
    share = (borrowed / np.maximum(total, 1e-6))[..., None]
    shown = chart.shown + share * (chart.shown[:, ::-1] - chart.shown)
    return own + share * (other - own), total, shown


def _light_ratio(
    own: np.ndarray, other: np.ndarray, known: np.ndarray, also: np.ndarray
) -> np.ndarray:
    """Return (S, S, 3) by how much a place is brighter than its mirror place, smoothly."""
    size = known.shape[1] // _LIGHT, known.shape[0] // _LIGHT
    both = known * also
    share = cv2.resize(both, size, interpolation=cv2.INTER_AREA)
    logs = [
        np.log(cv2.resize(side * both[..., None], size, interpolation=cv2.INTER_AREA)
               / np.maximum(share, 1e-3)[..., None] + _DARK)
        for side in (own, other)
    ]  # fmt: skip
    # One side's ratio is the other's inverse: each half is smoothed and continued on its own.
    half = slice(size[0] // 2, None)
    sure = np.clip(share[:, half] * 2 - 0.5, 0, 1)
    ratio = np.clip((logs[0] - logs[1])[:, half], -_GAIN, _GAIN) * sure[..., None]
    total = cv2.GaussianBlur(sure, (0, 0), _LIGHT_BLUR)
    ratio = cv2.GaussianBlur(ratio, (0, 0), _LIGHT_BLUR) / np.maximum(total, 1e-3)[..., None]
    right = pull_push(ratio.astype(np.float32), (sure > 0.5).astype(np.float32))
    ratio = cv2.GaussianBlur(np.hstack([-right[:, ::-1], right]), (0, 0), 1.0)
    return np.exp(cv2.resize(ratio, known.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _joined(own: np.ndarray, other: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Return (S, S, 3) by how much borrowed colours must be brighter to meet those beside them.

    What the two differ by where both are seen is continued, and fades with the distance from
    there: at the border of what is borrowed nothing jumps.
    """
    size = both.shape[1] // _JOIN, both.shape[0] // _JOIN
    share = cv2.resize(both, size, interpolation=cv2.INTER_AREA)
    mean = [
        cv2.resize(side * both[..., None], size, interpolation=cv2.INTER_AREA)
        / np.maximum(share, 1e-3)[..., None]
        for side in (own, other)
    ]
    known = share > 0.5
    if not known.any():
        return np.ones_like(own)
    off = np.clip(np.log((mean[0] + _DARK) / (mean[1] + _DARK)), -_GAIN, _GAIN)
    spread = pull_push((off * known[..., None]).astype(np.float32), known.astype(np.float32))
    away = cv2.distanceTransform((~known).view(np.uint8), cv2.DIST_L2, 3) / len(share)
    off = cv2.GaussianBlur(spread * np.exp(-away / _JOIN_REACH)[..., None], (0, 0), 1.0)
    return np.exp(cv2.resize(off, both.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _smooth(colours: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Return colours continued smoothly from where they are known; None if nowhere."""
    size = weight.shape[1] // _SMALL, weight.shape[0] // _SMALL
    share = cv2.resize(weight.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if share.max() < 0.9:
        return None
    small = cv2.resize(colours * weight[..., None], size, interpolation=cv2.INTER_AREA)
    small /= np.maximum(share, 1e-6)[..., None]
    known = share > 0.9
    filled = pull_push(small, known.astype(np.float32))
    # Far from what is seen, its middle colour is a better guess than that of its edge.
    away = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3) / len(share)
    trust = _EDGE_REACH / (_EDGE_REACH + away[..., None])
    filled = np.median(small[known], axis=0) * (1 - trust) + filled * trust
    filled = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 1.0)
    return cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _strands(
    colours: np.ndarray, known: np.ndarray, places_mm: np.ndarray, centre_uv: tuple[float, float]
) -> np.ndarray:
    """Return (S, S, 3) float32 what strands add to smooth hair, where hair is not seen."""
    side = len(known)
    centre = centre_uv[0] * side, centre_uv[1] * side
    size, reach, flags = (_RADII, _ANGLES), 0.5 * side, _POLAR
    rays = cv2.warpPolar(colours, size, centre, reach, flags)
    share = cv2.warpPolar(known.astype(np.float32), size, centre, reach, flags)
    seen = _without_islands(share > 0.9)
    places = cv2.warpPolar(np.nan_to_num(places_mm), size, centre, reach, flags)
    steps = np.linalg.norm(np.diff(places, axis=1, prepend=places[:, :1]), axis=2)
    along_mm = np.cumsum(np.minimum(steps, 5.0), axis=1)
    inner, outer = _bands(seen, along_mm)
    if inner is None or outer is None:
        return np.zeros_like(colours)
    width = np.clip(outer - inner, _LEAST_BAND_MM, _MOST_BAND_MM)[:, None]
    beyond = np.maximum(along_mm - outer[:, None], 0)
    back = width - np.abs(beyond % (2 * width) - width)  # to and fro in the band
    source_mm = np.where(along_mm > outer[:, None], outer[:, None] - back, along_mm)
    column = np.stack(
        [
            np.interp(wanted, have, np.arange(_RADII))
            for wanted, have in zip(source_mm, along_mm + 1e-4 * np.arange(_RADII), strict=True)
        ]
    ).astype(np.float32)
    row = np.broadcast_to(np.arange(_ANGLES, dtype=np.float32)[:, None], column.shape)
    share = seen.astype(np.float32)
    spread = float(np.clip(_STRAND_MM / max(float(np.median(steps[seen])), 0.1), 2.0, 24.0))
    base = mean_around(rays, share, spread, 0.05)
    fine = np.clip(rays - base, -_STRONGEST, _STRONGEST) * share[..., None]
    moved = cv2.remap(fine, column, np.ascontiguousarray(row), cv2.INTER_LINEAR)
    return cv2.warpPolar(moved, (side, side), centre, reach, flags | cv2.WARP_INVERSE_MAP)


def _without_islands(seen: np.ndarray) -> np.ndarray:
    """Drop specks and fill slits of an (A, R) mask along its rays."""
    grown = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 7), np.uint8))
    return cv2.morphologyEx(grown, cv2.MORPH_CLOSE, np.ones((3, 31), np.uint8)) > 0


def _bands(seen: np.ndarray, along_mm: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return (A,) where the hair that is seen begins and ends along each ray, mm."""
    any_seen = seen.any(axis=1)
    if not any_seen.any():
        return None, None
    last = seen.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
    rows = np.arange(len(seen))
    outer = along_mm[rows, last] - 3.0
    gaps = ~seen & (np.arange(seen.shape[1]) < last[:, None])
    first = seen.shape[1] - gaps[:, ::-1].argmax(axis=1)
    inner = along_mm[rows, np.minimum(np.where(gaps.any(axis=1), first, 0), last)] + 3.0
    known = np.flatnonzero(any_seen)
    kernel = np.hanning(31) / np.hanning(31).sum()
    ends = []
    for values in (inner, outer):
        whole = np.interp(rows, known, values[known], period=len(seen))
        ends.append(np.convolve(np.pad(whole, 15, mode="wrap"), kernel, mode="valid"))
    return ends[0], ends[1]
