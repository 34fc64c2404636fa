"""The warp once more, in numpy, one triangle at a time: slow, and easy to check by reading."""

import numpy as np

from stream.geometry import project, smoothstep
from stream.mesh import HeadMesh, Sheet
from stream.pose import HeadMotion
from stream.region import Region
from stream.warp import resting_mask


def bilinear(picture: np.ndarray, place_px: np.ndarray) -> np.ndarray:
    """Sample (h, w, C) at (N, 2) positions with pixel centres at +0.5, edges repeated."""
    height, width = picture.shape[:2]
    x = np.clip(place_px[:, 0] - 0.5, 0, width - 1)
    y = np.clip(place_px[:, 1] - 0.5, 0, height - 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    top = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
    bottom = picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def moved_nodes(
    sheet: Sheet, motion: HeadMotion, camera: np.ndarray, presence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 2) target pixels and (N,) target depths of all nodes."""
    source_px = sheet.places_px.reshape(-1, 2).astype(float)
    z = sheet.depth_mm.reshape(-1, 1).astype(float)
    rays = (source_px - camera[:2, 2]) / np.diag(camera)[:2]
    points = np.c_[rays * z, z]
    share = sheet.share.ravel().astype(float) * presence
    transforms = motion.blended(share, share)
    moved = np.einsum("nij,nj->ni", transforms[:, :3, :3], points) + transforms[:, :3, 3]
    return project(moved, camera), moved[:, 2] + sheet.yield_mm.ravel()


def draw(
    picture: np.ndarray, matte: np.ndarray, plate: np.ndarray, region: Region, mesh: HeadMesh,
    motion: HeadMotion, camera: np.ndarray, presence: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Do what `stream.warp.Warp.draw` does; returns (h, w, 3) float and (h, w) coverage."""
    rests = resting_mask(mesh, region)[..., None] > 0
    out = np.where(rests, picture, plate).astype(float)
    alpha = matte[..., None] / 255
    layer = np.dstack([np.rint(np.clip(picture - (1 - alpha) * plate, 0, 255)), matte])
    nearest, covered = np.full(out.shape[:2], np.inf), np.zeros(out.shape[:2])
    corner = np.array([region.x0, region.y0])
    for sheet in mesh.sheets:
        source = sheet.colours_px.reshape(-1, 2).astype(float) - corner
        target, z = moved_nodes(sheet, motion, camera, presence)
        target, opacity = target - corner, sheet.opacity.ravel()
        if sheet.kind == "far":
            opacity = opacity * _far_opacity(sheet, target, motion, camera, corner)
        for triangle in sheet.triangles:
            _triangle(
                out, nearest, covered, layer, source, opacity, target, z, triangle, sheet.kind
            )
    return out, covered


def _triangle(out, nearest, covered, layer, source, opacity, target, z, triangle, kind):
    corners = target[triangle]
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, out.shape[1::-1])
    if (high <= low).any():
        return
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    edges = np.c_[corners[1] - corners[0], corners[2] - corners[0]]
    if abs(np.linalg.det(edges)) < 1e-9 or (kind == "far" and np.linalg.det(edges) < 0):
        return
    second = np.linalg.solve(edges, np.stack([x.ravel(), y.ravel()]) - corners[0][:, None])
    weights = np.stack([1 - second.sum(axis=0), *second], axis=1)
    inside = (weights >= 0).all(axis=1)
    rows = (y.ravel()[inside] - 0.5).astype(int)
    columns = (x.ravel()[inside] - 0.5).astype(int)
    weights = weights[inside]
    place, deep = weights @ source[triangle], weights @ z[triangle]
    if kind == "gap":
        place = _towards_far(place, source[triangle], edges)
    here = bilinear(layer, place)
    alpha = here[:, 3:] / 255
    cover = (weights @ opacity[triangle])[:, None]
    if kind == "far":
        own, alpha = np.maximum(alpha, 1e-6), smoothstep(alpha, 0.5, 0.9)
        here[:, :3] *= alpha / own
    if kind in ("far", "mirror"):
        alpha, here = alpha * cover, here * cover
    drawn = (alpha[:, 0] >= 0.002) & (deep <= nearest[rows, columns])
    rows, columns = rows[drawn], columns[drawn]
    out[rows, columns] = here[drawn, :3] + (1 - alpha[drawn]) * out[rows, columns]
    nearest[rows, columns] = deep[drawn]
    covered[rows, columns] = np.maximum(covered[rows, columns], alpha[drawn, 0])


def _far_opacity(sheet, target, motion, camera, corner):
    """Fade the far side where it turns out of sight, and where it hardly moved, node by node."""
    share = sheet.share.ravel().astype(float)
    rotations = motion.blended(share, 0 * share)[:, :3, :3]
    normals = np.einsum("nij,nj->ni", rotations, sheet.gain.reshape(-1, 3))
    rays = np.c_[(target + corner - camera[:2, 2]) / np.diag(camera)[:2], np.ones(len(target))]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    facing = -(normals * rays).sum(axis=1) / np.linalg.norm(normals, axis=1)
    turn = share * np.linalg.norm(motion.axis_angle)
    return smoothstep(facing, 0.0, 0.25) * smoothstep(turn, 0.0, 0.07)


def _towards_far(place, source, edges):
    """Move the places in a stretched gap to its farthest corner, which comes last."""
    source_from_target = np.c_[source[1] - source[0], source[2] - source[0]] @ np.linalg.inv(edges)
    least = np.linalg.svd(source_from_target, compute_uv=False)[-1]
    t = np.clip((1 / max(least, 1e-3) - 5) / 10, 0, 1)
    return place + (t * t * (3 - 2 * t)) * (source[2] - place)
