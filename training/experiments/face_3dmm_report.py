"""How good `face_3dmm` is on a prepared set, in figures and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from stream.face_3dmm import SIZE, Crop, load_skin_model, pose_in_camera
from stream.frame import Head
from stream.geometry import axis_angle_from_rotation, project, transform_points
from stream.head_model import load_head_model
from training.head_model.basis import rigid
from training.learn.face_geometry import FaceGeometry, shaded
from training.learn.face_views import view

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from training.learn.prepared import PreparedSet

Arrays = dict[str, np.ndarray]
_EYE_CORNERS = (33, 263)
_IRIS_START = 468
_TURNED_DEG = 30.0
_CROP = Crop(SIZE / 2, SIZE / 2, SIZE)
_NAMES = ("identity", "expression", "rotation", "place", "texture", "light")


def predicted(network: nn.Module, pictures: np.ndarray) -> Arrays:
    """Run a network on crops (n, 192, 192, 3) uint8: its outputs by name, float32."""
    place = next(network.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        outputs = network(batch.to(place))
    return {n: x.float().cpu().numpy() for n, x in zip(_NAMES, outputs, strict=True)}


def errors(network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
    """Measure a network.

    Returns:
        `mm_neutral`: mean distance of the face's vertices without expression, after rigid
        alignment; `mm_neutral_mean_face`: that of the mean head, to compare with; `mm_posed`:
        with the expression, likewise; `nme`: mean distance of the projected points in % of the
        distance of the outer eye corners in space, as large as it would be seen from the front;
        `nme_mean_place`: the same of a mean head in the true pose; `degrees`: of rotation, mean,
        and `degrees_turned` of heads turned by more than 30°; `size`: mean error of the
        distance in %; `expression`: mean error of face units; `albedo`: mean error of the
        face's linear albedo, and `albedo_mean_skin` that of the mean skin.
    """
    rows: dict[str, list[float]] = {}
    for start in range(0, min(count, data.count), 25):
        indices = range(start, min(start + 25, count, data.count))
        views = [view(data, index, None) for index in indices]
        found = predicted(network, np.stack([one["picture"] for one in views]))
        for number, true in enumerate(views):
            one = {name: value[number] for name, value in found.items()}
            for name, value in _face_errors(one, true).items():
                rows.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _face_errors(found: Arrays, true: Arrays) -> dict[str, float]:
    model, skin = load_head_model(), load_skin_model()
    face = model.labels == 1
    rest = [model.shape(one["identity"])[face] for one in (found, true)]
    posed = [model.shape(one["identity"], one["expression"])[face] for one in (found, true)]
    camera, pose, truth = *_cameras(found, true), _pose(true, true)
    span = np.linalg.norm(np.subtract(*_points(true)[list(_EYE_CORNERS)]))
    shown = span * camera[0, 0] / truth[2, 3]
    points = project(transform_points(pose, _points(found).astype(np.float64)), camera)
    mean = project(transform_points(truth, model.points478_mean.astype(np.float64)), camera)
    wanted = true["points"] * SIZE + SIZE / 2
    turn = axis_angle_from_rotation(pose[:3, :3].T @ truth[:3, :3])
    degrees = float(np.degrees(np.linalg.norm(turn)))
    away = np.degrees(np.arccos(np.clip(_ray_forward(true), -1, 1)))
    result = {
        "mm_neutral": _apart(*rest),
        "mm_neutral_mean_face": _apart(model.vertices[face], rest[1]),
        "mm_posed": _apart(*posed),
        "nme": _percent(points, wanted, shown),
        "nme_mean_place": _percent(mean, wanted, shown),
        "degrees": degrees,
        "size": 100 * abs(float(np.expm1(found["place"][2] - true["place"][2]))),
        "expression": float(np.abs(found["expression"] - true["expression"]).mean()),
    }
    albedo = [skin.albedo(one["texture"])[face] for one in (found, true)]
    result["albedo"] = float(np.abs(albedo[0] - albedo[1]).mean())
    result["albedo_mean_skin"] = float(np.abs(skin.mean[face] - albedo[1]).mean())
    return result | ({"degrees_turned": degrees} if away > _TURNED_DEG else {})


def _cameras(found: Arrays, true: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop's (3, 3) camera and the found (4, 4) pose before it."""
    focal, x, y = (true["camera"] * SIZE).tolist()
    camera = np.array([[focal, 0, SIZE / 2 + x], [0, focal, SIZE / 2 + y], [0, 0, 1.0]])
    return camera, pose_in_camera(found["rotation"], found["place"], _CROP, camera)


def _pose(one: Arrays, true: Arrays) -> np.ndarray:
    return _cameras(one, true)[1]


def _points(one: Arrays) -> np.ndarray:
    return load_head_model().points478(one["identity"], one["expression"])


def _ray_forward(true: Arrays) -> float:
    """Return the cosine between where the head looks and the camera."""
    first, second = true["rotation"].reshape(2, 3)
    return float(np.cross(first, second)[2])


def _apart(found: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of (V, 3) after the best rigid motion, mm."""
    rotation, shift = rigid(found, true, np.ones(len(true)))
    return float(np.linalg.norm(found @ rotation.T + shift - true, axis=1).mean())


def _percent(points: np.ndarray, wanted: np.ndarray, span: float) -> float:
    distance = np.linalg.norm(points - wanted, axis=1)[:_IRIS_START]
    return 100 * float(distance.mean() / span)


def write_sheet(network: nn.Module, data: PreparedSet, path: Path, count: int = 14) -> None:
    """Draw crops, the found head over them, its points, and its skin in its light."""
    from training.evaluate_fit import draw_head  # noqa: PLC0415  brings media readers

    rows = np.linspace(0, data.count - 1, count).astype(int)
    views = [view(data, int(index), None) for index in rows]
    found = predicted(network, np.stack([one["picture"] for one in views]))
    columns = []
    for number, true in enumerate(views):
        one = {name: value[number] for name, value in found.items()}
        camera, pose = _cameras(one, true)
        head = Head(0, one["identity"], one["expression"], pose, camera)
        picture = true["picture"]
        drawn = draw_head(picture, head, load_head_model())
        columns.append(np.vstack([picture, drawn, _dotted(one, true), _skin(one, true)]))
    cv2.imwrite(str(path), cv2.cvtColor(np.hstack(columns), cv2.COLOR_RGB2BGR))


def _dotted(found: Arrays, true: Arrays) -> np.ndarray:
    """Draw true points green and found ones red."""
    camera, pose = _cameras(found, true)
    points = project(transform_points(pose, _points(found).astype(np.float64)), camera)
    picture = true["picture"].copy()
    for places, colour in ((true["points"] * SIZE + SIZE / 2, (0, 255, 0)), (points, (255, 0, 0))):
        for x, y in np.clip(places[:_IRIS_START:3], -9, 999).astype(int).tolist():
            cv2.circle(picture, (x, y), 1, colour, -1)
    return picture


def _skin(found: Arrays, true: Arrays) -> np.ndarray:
    """Draw the sampled triangles that show, in the colours that the network explains them by."""
    geometry = FaceGeometry(torch.device("cpu"))
    tensors = {name: torch.from_numpy(value)[None] for name, value in found.items()}
    view_of = {name: torch.from_numpy(true[name])[None] for name in ("camera", "ray")}
    vertices = geometry.vertices(tensors["identity"], tensors["expression"])
    skin = geometry.skin(vertices, tensors, view_of)
    colours = shaded(geometry.albedo(tensors["texture"]), skin.normals, tensors["light"])[0]
    picture = true["picture"] // 3
    places = (skin.places[0].numpy() * SIZE + SIZE / 2).astype(int)
    shown = (np.clip(colours.numpy(), 0, 1) * 255).astype(int)
    for row in np.flatnonzero(true["seen"] > 0):
        x, y = np.clip(places[row], -9, 999).tolist()
        cv2.circle(picture, (x, y), 2, shown[row].tolist(), -1)
    return picture
