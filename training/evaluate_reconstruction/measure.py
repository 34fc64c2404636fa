"""What is measured of a depth against the true one.

Where the optical axis meets the scene cannot be seen in a picture that was cut out of a larger
one, nor what lens took it, and depth along another axis is a tilted depth. So errors of face and
hair compare depths along the ray through the middle of the true face, each by its own camera, as
if both cameras were turned to look at it; for a face in the middle of an uncropped picture that
is the depth along z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from training.pix2vertex.measure import fitted_depth

if TYPE_CHECKING:
    from training.evaluate_reconstruction.scan import Scan

_LEAST_PIXELS = 100
_POINTS = 4000  # that distances are taken between


def face_errors(
    depth_mm: np.ndarray, scan: Scan, camera: np.ndarray | None = None, seed: int = 0
) -> dict[str, float]:
    """Measure depth in the face after a scale-and-shift fit (pix2vertex §5.2, Table 1).

    Args:
        depth_mm: (H, W) along z, nan where the method says nothing.
        scan: the truth; its `face`, or where that is not known all of its depth.
        camera: (3, 3) in which the method counts depth; that of the scan unless given.
        seed: of RANSAC, the same for all methods.

    Returns:
        Mean, standard deviation, median and 90th percentile of the absolute error in % of the
        true depth's range in the face; mean angle between normals; share of the face that the
        method covers. Empty where it covers too little.
    """
    region = np.isfinite(scan.depth_mm)
    if scan.face is not None:
        region &= scan.face
    both = region & np.isfinite(depth_mm)
    if both.sum() < _LEAST_PIXELS:
        return {}
    found_mm, true_mm = _along_one_ray(depth_mm, scan, camera)
    found, true = found_mm[both], true_mm[both]
    scale, shift = fitted_depth(found, true, np.random.default_rng(seed))
    laid = scale * found_mm + shift
    error = 100 * np.abs(laid[both] - true) / np.ptp(true_mm[region])
    return {
        "mean %": float(error.mean()),
        "std %": float(error.std()),
        "median %": float(np.median(error)),
        "90 %": float(np.percentile(error, 90)),
        "normals °": normal_error(scan.depth_mm * laid / true_mm, scan, both),
        "covered %": 100 * float(both.sum() / region.sum()),
    }


def hair_errors(
    depth_mm: np.ndarray, scan: Scan, camera: np.ndarray | None = None
) -> dict[str, float]:
    """Measure depth of hair; the arguments are those of `face_errors`.

    Returns:
        Mean absolute error in mm where the face is laid on the truth by its median distance
        alone; in % of the range where face and hair are laid by scale and shift (§5.2); and the
        share of the hair that the method covers. Empty where there is no hair.
    """
    if scan.hair is None or scan.face is None:
        return {}
    there = np.isfinite(depth_mm) & np.isfinite(scan.depth_mm)
    face, hair = there & scan.face, there & scan.hair
    if min(face.sum(), hair.sum()) < _LEAST_PIXELS:
        return {}
    found_mm, true_mm = _along_one_ray(depth_mm, scan, camera)
    shift = float(np.median((true_mm - found_mm)[face]))
    error = np.abs(found_mm + shift - true_mm)[hair]
    head = face | hair
    scale, move = fitted_depth(found_mm[head], true_mm[head], np.random.default_rng(0))
    laid = np.abs(scale * found_mm + move - true_mm)[hair]
    return {
        "hair mm": float(error.mean()),
        "hair %": 100 * float(laid.mean() / np.ptp(true_mm[head])),
        "hair covered %": 100 * float(hair.sum() / scan.hair.sum()),
    }


def along_ray(camera: np.ndarray, middle_px: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return what turns depth along z into depth along the ray through a place of the picture.

    Args:
        camera: (3, 3) intrinsics.
        middle_px: (2,) the place.
        shape: height and width of the picture.

    Returns:
        (H, W) float64 factors, about 1.
    """
    ones = np.ones(shape)
    ray = np.append((middle_px - camera[:2, 2]) / camera[[0, 1], [0, 1]], 1.0)
    return unprojected(ones, camera) @ (ray / np.linalg.norm(ray))


def _along_one_ray(
    depth_mm: np.ndarray, scan: Scan, camera: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W) depths, found and true, along the ray through the middle of the true face."""
    found, true = depth_mm.astype(float), scan.depth_mm.astype(float)
    if camera is None:
        return found, true
    rows, columns = np.nonzero(np.isfinite(true) if scan.face is None else scan.face)
    middle_px = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 2
    found *= along_ray(camera, middle_px, true.shape)
    return found, true * along_ray(scan.camera, middle_px, true.shape)


def normal_error(depth_mm: np.ndarray, scan: Scan, where: np.ndarray) -> float:
    """Return the mean angle in degrees between the normals of two depths."""
    found = depth_normals(depth_mm, scan.camera)
    true = depth_normals(scan.depth_mm, scan.camera)
    cosine = np.clip((found * true).sum(axis=-1)[where], -1, 1)
    return float(np.degrees(np.arccos(cosine[np.isfinite(cosine)])).mean())


def depth_normals(depth_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) unit normals of an (H, W) depth, nan beside its edge."""
    points = unprojected(depth_mm, camera)
    along_y, along_x = np.gradient(points, axis=(0, 1))
    normals = np.cross(along_y, along_x)
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def unprojected(depth_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) camera-space points of an (H, W) depth."""
    height, width = depth_mm.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.dstack([(x - camera[0, 2]) / camera[0, 0], (y - camera[1, 2]) / camera[1, 1]])
    return np.dstack([rays * depth_mm[..., None], depth_mm])


def normalised_mean_error(depth_mm: np.ndarray, scan: Scan, interocular_mm: float) -> float:
    """NME of the Florence protocol (multi-view paper §V-B).

    The depth is laid on the truth by scale and shift; ICP finds which points belong together, and
    the distance of the depth as it was laid is taken between them.

    Args:
        depth_mm: (H, W).
        scan: the truth.
        interocular_mm: distance of the outer corners of the eyes.
    """
    both = np.isfinite(depth_mm) & np.isfinite(scan.depth_mm)
    if scan.face is not None:
        both &= scan.face
    scale, shift = fitted_depth(depth_mm[both], scan.depth_mm[both], np.random.default_rng(0))
    chosen = np.random.default_rng(0).permutation(int(both.sum()))[:_POINTS]
    found = unprojected(scale * depth_mm + shift, scan.camera)[both][chosen]
    true = unprojected(scan.depth_mm, scan.camera)[both]
    _, moved, _ = trimesh.registration.icp(found, true, reflection=False, scale=False)
    _, near = cKDTree(true).query(moved)
    return float(np.linalg.norm(found - true[near], axis=1).mean() / interocular_mm)


def aligned_distances(depth_mm: np.ndarray, scan: Scan) -> dict[str, float]:
    """Distances after a rigid alignment in 3D, for face and the rest (Deep 3D Portrait, Table 1).

    Returns:
        Mean distance in mm from the estimate to the truth, in the face and beside it.
    """
    both = np.isfinite(depth_mm) & np.isfinite(scan.depth_mm)
    if scan.face is None or both.sum() < _LEAST_PIXELS:
        return {}
    rng = np.random.default_rng(0)
    found, true = unprojected(depth_mm, scan.camera), unprojected(scan.depth_mm, scan.camera)
    chosen = rng.permutation(int(both.sum()))[:_POINTS]
    matrix, _, _ = trimesh.registration.procrustes(
        found[both][chosen], true[both][chosen], reflection=False, scale=False
    )
    matrix, _, _ = trimesh.registration.icp(
        found[both][chosen], true[both], initial=matrix, reflection=False, scale=False
    )
    tree = cKDTree(true[both])
    result = {}
    for name, mask in (("face mm", both & scan.face), ("beside mm", both & ~scan.face)):
        if mask.sum() < _LEAST_PIXELS:
            continue
        points = trimesh.transform_points(found[mask], matrix)
        result[name] = float(tree.query(points[rng.permutation(len(points))[:_POINTS]])[0].mean())
    return result
