"""Error of the live path's depth against the known depth of a rendering."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from stream.hair_depth import HairDepth, HeadDepth
from training.makehuman import EAR, EYES, FACE, HAIR
from training.render import Rendering


@contextmanager
def recorded_depth() -> Iterator[list[HeadDepth]]:
    """Keep every depth that the live path estimates inside a ``with`` block, newest last."""
    kept: list[HeadDepth] = []
    original = HairDepth.estimate

    def keeping(self: HairDepth, *given: object, **named: object) -> HeadDepth:
        found: HeadDepth = original(self, *given, **named)  # type: ignore[arg-type]
        kept.append(found)
        return found

    HairDepth.estimate = keeping  # type: ignore[method-assign]
    try:
        yield kept
    finally:
        HairDepth.estimate = original  # type: ignore[method-assign]


def at_pixels(depth: HeadDepth, size: tuple[int, int]) -> np.ndarray:
    """Interpolate depth at the nodes to the (H, W) pixels of a frame; nan outside the grid."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    at = np.einsum("ij,hwj->hwi", depth.grid.nodes_from_frame[:, :2], np.dstack([x, y]))
    at = (at + depth.grid.nodes_from_frame[:, 2]).astype(np.float32)
    return cv2.remap(
        depth.front_mm, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=(float("nan"),)
    )


def region_errors(depth: HeadDepth, truth: Rendering) -> dict[str, float]:
    """Return the depth error of face and of hair in % of the head's depth range.

    Scale and shift are fitted once, on face, ears and hair together, so that hair that lies
    wrongly against the face counts. "relief" is the estimated relief of the face alone over
    the true one, both per distance from the camera: above 1 the face is too deep.
    """
    size = (truth.labels.shape[1], truth.labels.shape[0])
    found = at_pixels(depth, size)
    head = np.isin(truth.labels, (FACE, EAR, EYES, HAIR))
    regions = {"face": np.isin(truth.labels, (FACE, EYES)), "hair": truth.labels == HAIR}
    errors = {
        f"depth {name} %": depth_error(found, truth.depth_mm, head, mask)
        for name, mask in regions.items()
    }
    return errors | {"relief": relief(found, truth.depth_mm, regions["face"])}


def relief(depth: np.ndarray, truth: np.ndarray, judged: np.ndarray) -> float:
    """Return the slope of estimated against true relative depth over a (H, W) bool mask."""
    known = np.isfinite(depth) & np.isfinite(truth) & judged
    if known.sum() < 10:
        return float("nan")
    estimated = depth[known] / depth[known].mean() - 1
    true = truth[known] / truth[known].mean() - 1
    return float((estimated * true).sum() / (true**2).sum())


def depth_error(
    depth: np.ndarray, truth: np.ndarray, fit_on: np.ndarray, judged: np.ndarray
) -> float:
    """Return the mean depth error after a scale-and-shift fit, in % of the true depth range.

    Args:
        depth: (H, W) estimated depth in any unit, nan where it is unknown.
        truth: (H, W) true depth, nan outside the head.
        fit_on: (H, W) bool, pixels that decide scale and shift, and the range.
        judged: (H, W) bool, pixels whose error counts.
    """
    known = np.isfinite(depth) & np.isfinite(truth)
    base = known & fit_on
    if base.sum() < 10 or not (known & judged).any():
        return float("nan")
    design = np.column_stack([depth[base], np.ones(int(base.sum()))])
    scale, shift = np.linalg.lstsq(design, truth[base], rcond=None)[0]
    low, high = np.percentile(truth[base], (1, 99))
    error = np.abs(scale * depth + shift - truth)[known & judged]
    return float(100 * error.mean() / (high - low))
