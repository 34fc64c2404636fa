"""A prepared set of drawn heads, made from the head model and its skin alone."""

import cv2
import numpy as np

from stream.face_3dmm import DISPLAY_GAMMA, crop_ray, face_crop, load_skin_model
from stream.geometry import (
    project,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.head_model import load_head_model
from stream.pose import ray_rotation
from training.learn.face_fields import SEEN, TEXTURE, face_triangles, seen_triangles
from training.learn.face_geometry import harmonics
from training.learn.prepared import PreparedSet
from training.synthetic.dataset import VIEWS_PER_PERSON
from training.synthetic.scene import Label

SIDE = 160
LIGHT = np.array([[2.4, -0.5, -0.6, 0.3, 0, 0, 0, 0, 0]] * 3) * np.array([[1.0], [0.9], [0.8]])


def toy_faces(people: int = 1, seed: int = 0) -> PreparedSet:
    """Draw four views of each person: another pose, expression and camera, the same light.

    The light is fixed in the ray frame of the crop, so that `LIGHT` is every picture's.
    """
    rng, model, skin = np.random.default_rng(seed), load_head_model(), load_skin_model()
    rows: dict[str, list[np.ndarray]] = {}
    for number in range(people * VIEWS_PER_PERSON):
        if number % VIEWS_PER_PERSON == 0:
            identity = (0.8 * rng.normal(size=80)).astype(np.float32)
            texture = (0.7 * rng.normal(size=40)).astype(np.float32)
        expression = np.zeros(52, np.float32)
        expression[rng.integers(0, 52, 4)] = rng.uniform(0.2, 0.8, 4)
        focal = rng.uniform(1.4, 2.5) * SIDE
        camera = np.array([[focal, 0, 0.47 * SIDE], [0, focal, 0.55 * SIDE], [0, 0, 1.0]])
        turn = rotation_from_angles(*rng.uniform([-30, -15, -15], [30, 15, 15]))
        pose = rigid_transform(turn, np.array([*rng.uniform(-20, 20, 2), 4.2 * focal]))
        points = transform_points(pose, model.points478(identity, expression).astype(np.float64))
        pixel = np.column_stack([project(points, camera), points[:, 2] - pose[2, 3]])
        one = {
            "identity": identity, "expression": expression, TEXTURE: texture,
            "camera_from_head": pose, "intrinsics": camera, "points478": pixel,
            "visible478": np.ones(478, bool),
            "labels": np.full((SIDE, SIDE), Label.FACE, np.uint8),
            "depth": np.full((SIDE, SIDE), np.inf, np.float16),
        }  # fmt: skip
        one["pixels"] = _drawn(model, skin.albedo(texture), one)
        for name, value in one.items():
            rows.setdefault(name, []).append(value)
    fields = {name: np.stack(values) for name, values in rows.items()}
    data = PreparedSet(people * VIEWS_PER_PERSON, SIDE, {"seed": 0, "held_out": True}, fields)
    triangles = face_triangles()
    fields[SEEN] = np.stack([seen_triangles(data, i, model, triangles) for i in range(data.count)])
    return data


def _drawn(model, albedo, one):
    pose, camera = one["camera_from_head"], one["intrinsics"]
    shape = model.shape(one["identity"], one["expression"]).astype(np.float64)
    corners = transform_points(pose, shape)[model.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    ray = ray_rotation(crop_ray(face_crop(one["points478"]), camera))
    import torch

    arriving = harmonics(torch.from_numpy(normals @ ray)).numpy() @ LIGHT.T
    linear = albedo[model.triangles].mean(axis=1) * arriving
    colours = np.clip(linear, 0, 1) ** (1 / DISPLAY_GAMMA) * 255
    places = np.round(project(corners.reshape(-1, 3), camera).reshape(-1, 3, 2) * 16 - 8)
    facing = (normals * corners.mean(axis=1)).sum(axis=1) < 0
    pixels = np.full((SIDE, SIDE, 3), 90, np.uint8)
    for index in np.argsort(-corners[:, :, 2].mean(axis=1)):
        if facing[index]:
            cv2.fillConvexPoly(pixels, places[index].astype(np.int32), colours[index], shift=4)
    return pixels
