"""Depth of a face's keypoints from where they lie in the picture, by a small network."""

import numpy as np

from engines.engine import Engine

# A crop's side per longer side of the points' bounding box: the face fills it with some rest.
CROP_PER_BOX = 1.1


def unit_crop(points_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the square crop around keypoints, in which DepthNets sees them.

    Args:
        points_px: (…, K, 2) keypoints.

    Returns:
        Its middle, (…, 1, 2), and its side, (…, 1, 1), pixels. Keypoints minus the middle, by the
        side, lie within ±0.5; depths are divided by the side too.
    """
    low, high = points_px.min(axis=-2), points_px.max(axis=-2)
    side = CROP_PER_BOX * (high - low).max(axis=-1)
    return ((low + high) / 2)[..., None, :], side[..., None, None]


class KeypointDepth:
    """The network `keypoint_depth`, in pixels.

    Args:
        engine: it, opened; see `engines.opening.open_engine`. Closing it is the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, points_px: np.ndarray) -> np.ndarray:
        """Estimate depths.

        Args:
            points_px: (478, 2) or (N, 478, 2) tracked points.

        Returns:
            (478,) or (N, 478) float32, in the pixels of the points, smaller is nearer, relative
            to the mean of the points.
        """
        points = np.asarray(points_px, np.float32)
        batch = points.reshape(-1, *points.shape[-2:])
        middle, side = unit_crop(batch)
        unit = ((batch - middle) / side).swapaxes(1, 2)[..., None]
        depth = self._engine(points=unit)["depth"] * side[:, 0]
        return (depth - depth.mean(axis=1, keepdims=True)).reshape(points.shape[:-1])
