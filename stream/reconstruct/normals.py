"""Normals of surfaces."""

import numpy as np


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (F, 3) unit normals that point outside, weighted by area."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.empty_like(points)
    for axis in range(3):
        normals[:, axis] = np.bincount(
            triangles.ravel(), np.repeat(faces[:, axis], 3), minlength=len(points)
        )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
