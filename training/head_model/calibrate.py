"""Calibrate the tracked points: where Face Mesh puts them on rendered heads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import igl
import numpy as np

from training.head_model.build import CALIBRATION, Source, topology_hash
from training.head_model.dress import Wardrobe
from training.head_model.points import FACE_OVAL, IRIS, Embedding, barycentric, embed_points
from training.head_model.render import Light, Renderer
from training.head_model.sheet import rotation
from training.head_model.topology import EYE, Topology

SIZE = 512
BELOW_EYES_MM = np.array([0, 25.0, 50.0])  # what the camera looks at
FRONTAL_DEGREES = 8.0  # contour points slide with the pose: only these views place them
CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class View:
    """One rendered head and what Face Mesh saw.

    Attributes:
        vertices: (V, 3) head mesh in camera space, mm.
        points_px: (478, 2) detected points.
        camera: (3, 3) intrinsics.
        turn: the larger of |yaw| and |pitch|, degrees.
    """

    vertices: np.ndarray
    points_px: np.ndarray
    camera: np.ndarray
    turn: float


def views(
    source: Source, data: Path, count: int, seed: int = 5
) -> Iterator[tuple[View, np.ndarray]]:
    """Render heads and detect their faces.

    Yields:
        The view and its picture (H, W, 3) uint8; heads without a detected face are left out.
    """
    import mediapipe as mp  # noqa: PLC0415 - slow, and no other step needs it

    rng = np.random.default_rng(seed)
    wardrobe = Wardrobe(data / "makehuman", source.base)
    operator = source.topology.operator[:, wardrobe.ids]
    camera = np.array([[1.2 * SIZE, 0, SIZE / 2], [0, 1.2 * SIZE, SIZE / 2], [0, 0, 1.0]])
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
    with mesh, Renderer((SIZE, SIZE), samples=2) as renderer:
        for head in wardrobe.sample(count, rng):
            eyes = (operator @ head)[source.topology.parts == EYE]
            pose, turn = _random_pose(eyes.mean(0) + BELOW_EYES_MM, rng)
            picture = renderer.draw(
                wardrobe.layers(head, pose, rng),
                camera,
                _random_light(rng),
                tuple(rng.uniform(0.1, 0.7, 3)),
            )
            found = mesh.process(picture).multi_face_landmarks
            if found:
                points = np.array([[point.x, point.y] for point in found[0].landmark]) * SIZE
                placed = (operator @ head) @ pose[:3, :3].T + pose[:3, 3]
                yield View(placed, points, camera, turn), picture


def _random_pose(middle: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    near = rng.random() < 0.4
    reach = FRONTAL_DEGREES if near else 25.0
    yaw, pitch = rng.uniform(-reach, reach), rng.uniform(-reach, reach) * (1 if near else 0.7)
    pose = np.eye(4)
    roll = np.radians(rng.uniform(-6, 6))
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    pose[:3, :3] = tilt @ rotation(yaw, pitch)
    pose[:3, 3] = [rng.uniform(-40, 40), rng.uniform(-40, 40), rng.uniform(430, 700)]
    pose[:3, 3] -= pose[:3, :3] @ middle
    return pose, max(abs(yaw), abs(pitch))


def _random_light(rng: np.random.Generator) -> Light:
    directions = np.stack(
        [rng.uniform(-0.7, 0.7, 3), rng.uniform(-0.2, 0.9, 3), rng.uniform(0.4, 1.0, 3)], axis=1
    )
    strength = rng.uniform([0.35, 0.05, 0.0], [0.6, 0.25, 0.2])
    return Light(directions, np.repeat(strength[:, None], 3, axis=1), (0.32, 0.31, 0.30))


def cast(view: View, triangles: np.ndarray, chosen: np.ndarray, points: np.ndarray) -> Embedding:
    """Cast pixels onto the nearest triangles that face the camera.

    Args:
        view: the head.
        triangles: (T, 3) of the whole mesh.
        chosen: (M,) numbers of the triangles that may be hit.
        points: (N, 2) pixels.

    Returns:
        Embedding in the whole mesh; where a ray passes by the mesh, its nearest point.
    """
    corners = view.vertices[triangles[chosen]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = np.einsum("td,td->t", normal, corners[:, 0]) < 0
    chosen, corners = chosen[facing], corners[facing]
    rays = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    rays = rays @ np.linalg.inv(view.camera).T
    hit = np.full(len(points), -1)
    place = np.zeros((len(points), 3))
    for number, ray in enumerate(rays):
        found, depth = _nearest_hit(ray, corners)
        if found < 0:
            flat = view.vertices[np.unique(triangles[chosen])]
            apart = np.linalg.norm(flat[:, :2] / flat[:, 2:] - ray[:2], axis=1)
            depth = float(flat[apart.argmin(), 2])
        hit[number], place[number] = found, ray * depth
    missed = hit < 0
    if missed.any():
        faces = triangles[chosen]
        _, near, touch = igl.point_mesh_squared_distance(place[missed], view.vertices, faces)
        hit[missed], place[missed] = near, touch
    return Embedding(chosen[hit], barycentric(place, corners[hit]))


def _nearest_hit(ray: np.ndarray, corners: np.ndarray) -> tuple[int, float]:
    """Number of the nearest triangle that a ray from the camera meets, and the depth; or −1."""
    flat = corners[..., :2] / corners[..., 2:]
    near = ((flat.min(1) <= ray[:2]) & (flat.max(1) >= ray[:2])).all(1)
    rows = np.flatnonzero(near)
    best, best_depth = -1, np.inf
    for row in rows:
        solved = np.linalg.solve(corners[row].T, ray)
        if solved.min() >= 0 and 1 / solved.sum() < best_depth:
            best, best_depth = int(row), 1 / solved.sum()
    return best, best_depth


def residuals(views: list[View], embedding: Embedding, triangles: np.ndarray) -> np.ndarray:
    """Distance of embedded from detected points, mm at the depth of the point: (N, 478)."""
    rows = []
    for view in views:
        places = embedding.places(view.vertices, triangles)
        flat = places @ view.camera.T
        apart = np.linalg.norm(flat[:, :2] / flat[:, 2:] - view.points_px, axis=1)
        rows.append(apart * places[:, 2] / view.camera[0, 0])
    return np.array(rows)


def summary(views: list[View], embedding: Embedding, topology: Topology) -> str:
    """Say how far embedded points lie from detected ones, mm."""
    apart = residuals(views, embedding, topology.triangles)
    frontal = [view.turn <= FRONTAL_DEGREES for view in views]
    inner = np.setdiff1d(np.arange(478), FACE_OVAL)
    irises = apart[:, list(IRIS)].mean()
    return (
        f"{len(views)} views, mean {apart.mean():.2f}, p95 {np.quantile(apart, 0.95):.2f}, "
        f"inside the contour {apart[:, inner].mean():.2f}, irises {irises:.2f}, "
        f"contour in frontal views {apart[frontal][:, FACE_OVAL].mean():.2f} mm"
    )


def calibrate(
    source: Source, mean: np.ndarray, start: Embedding, mirror478: np.ndarray, seen: list[View]
) -> Embedding:
    """Move every tracked point to where it explains the detections best.

    Args:
        source: the mesh.
        mean: (V, 3) mean head.
        start: first places of the points.
        mirror478: (478,) the point on the other side.
        seen: rendered heads with detections.
    """
    topology = source.topology
    casts = [_cast_view(view, topology) for view in seen]
    places = np.stack([found.places(mean, topology.triangles) for found in casts])
    usable = _usable(seen)
    chosen = start.places(mean, topology.triangles)
    for point in range(len(mirror478)):
        other = mirror478[point]
        if other < point:
            continue
        hits = places[usable[point], point]
        twins = places[usable[other], other] * [-1, 1, 1]
        options = _options(np.concatenate([hits, twins]), chosen[point])
        if other == point:
            options = options * [0, 1, 1]
        best = _best_option(options, point, other, usable, seen, topology, mean)
        chosen[point], chosen[other] = best, best * [-1, 1, 1]
    return embed_points(topology, mean, chosen)


def _cast_view(view: View, topology: Topology) -> Embedding:
    skin = np.flatnonzero(topology.skins)
    eyes = np.flatnonzero((topology.parts[topology.triangles] == EYE).all(1))
    found = cast(view, topology.triangles, skin, view.points_px)
    irises = cast(view, topology.triangles, eyes, view.points_px[list(IRIS)])
    triangle, bary = found.triangle.copy(), found.bary.copy()
    triangle[list(IRIS)], bary[list(IRIS)] = irises.triangle, irises.bary
    return Embedding(triangle, bary)


def _usable(seen: list[View]) -> np.ndarray:
    """Which views place which point: (478, N) bool."""
    usable = np.ones((478, len(seen)), bool)
    usable[FACE_OVAL] = [view.turn <= FRONTAL_DEGREES for view in seen]
    return usable


def _options(hits: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Candidate places: the hits about their median, the median itself and the start."""
    middle = np.median(hits, axis=0)
    for _ in range(10):  # Weiszfeld's steps to the geometric median
        weight = 1 / np.maximum(np.linalg.norm(hits - middle, axis=1), 0.1)
        middle = (hits * weight[:, None]).sum(0) / weight.sum()
    near = np.argsort(np.linalg.norm(hits - middle, axis=1))[:CANDIDATES]
    return np.concatenate([[middle, start], hits[near]])


def _best_option(
    options: np.ndarray,
    point: int,
    other: int,
    usable: np.ndarray,
    seen: list[View],
    topology: Topology,
    mean: np.ndarray,
) -> np.ndarray:
    """Pick the candidate with the least clipped distance to the detections on both sides."""
    total = np.zeros(len(options))
    for number, sign in {(point, 1.0), (other, -1.0 if other != point else 1.0)}:
        rows = np.full((len(options), 478, 3), np.nan)
        rows = options * [sign, 1, 1]
        found = _embed_as(topology, mean, rows, number)
        for index in np.flatnonzero(usable[number]):
            view = seen[index]
            places = found.places(view.vertices, topology.triangles)
            flat = places @ view.camera.T
            apart = np.linalg.norm(flat[:, :2] / flat[:, 2:] - view.points_px[number], axis=1)
            total += np.minimum(apart * places[:, 2] / view.camera[0, 0], 6.0)
    return options[total.argmin()]


def _embed_as(topology: Topology, mean: np.ndarray, rows: np.ndarray, number: int) -> Embedding:
    """Embed candidate places of one point on the part where it belongs."""
    if number in IRIS:
        allowed = np.flatnonzero((topology.parts[topology.triangles] == EYE).all(1))
    else:
        allowed = np.flatnonzero(topology.skins)
    faces = topology.triangles[allowed]
    _, hit, place = igl.point_mesh_squared_distance(rows, mean, faces)
    return Embedding(allowed[hit], barycentric(place, mean[faces[hit]]))


def store(embedding: Embedding, triangles: np.ndarray, path: Path = CALIBRATION) -> None:
    """Write the calibration beside the code."""
    np.savez_compressed(
        path,
        triangle=embedding.triangle.astype(np.int32),
        bary=embedding.bary.astype(np.float32),
        mesh=topology_hash(triangles),
    )
