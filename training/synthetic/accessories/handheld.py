"""Hands before the face, microphones and cups, each resting on or just before the head."""

from functools import lru_cache

import numpy as np

from training.synthetic.accessories.fitting import Fit, front_depths, in_front_of
from training.synthetic.accessories.mesh import (
    Mesh,
    grain,
    joined,
    lathe,
    moved,
    occluder,
    painted,
    placed_uv,
    tube,
    turn,
    unit,
)
from training.synthetic.accessories.spec import AccessorySpec
from training.synthetic.scene import Material, Surface

_SKIN_TONES = ((244, 208, 184), (232, 190, 160), (222, 172, 138), (198, 146, 110), (168, 118, 84),
               (132, 88, 60), (98, 64, 46), (70, 46, 34))  # fmt: skip
_SKIN = Material(gloss=0.15, shininess=18.0, scatter=0.5)
# Root (x, y), length, radius and spread in degrees of the four fingers of a right palm, mm; the
# wrist is at the origin, fingers point to -y, the palm looks to +z, the thumb is at x > 0.
_FINGERS = ((27.0, -92.0, 74.0, 8.6, 6.0), (9.0, -97.0, 82.0, 8.8, 1.0),
            (-9.0, -94.0, 77.0, 8.4, -4.0), (-26.0, -85.0, 60.0, 7.4, -11.0))  # fmt: skip
# Where a hand rests: landmark, its place above it on the hand, roll range, curl range in degrees.
_POSES = {
    "chin": (152, 60.0, (-25, 25), (30, 65)),
    "mouth": (13, 110.0, (15, 70), (5, 25)),
    "cheek": (50, 90.0, (-20, 30), (10, 45)),
    "forehead": (151, 125.0, (10, 50), (10, 30)),
}


def handheld(spec: AccessorySpec, fit: Fit) -> list[Surface]:
    """Return the thing `spec.handheld` and the hand that holds it, in head space."""
    rng = spec.rng(5)
    depths = front_depths(fit.head_mm)
    skin = spec.skin_rgb or _SKIN_TONES[int(rng.integers(len(_SKIN_TONES)))]
    if spec.handheld == "hand":
        return [_hand(fit, depths, skin, rng)]
    if spec.handheld == "cup":
        return _cup(fit, depths, skin, rng)
    return _microphone(fit, depths, skin, rng)


def _hand(
    fit: Fit, depths: np.ndarray, skin: tuple[int, int, int], rng: np.random.Generator
) -> Surface:
    names = list(_POSES)
    landmark, up, rolls, curls = _POSES[names[int(rng.integers(len(names)))]]
    side = 1 if rng.random() < 0.5 else -1
    if landmark == 50 and side > 0:
        landmark = 280
    mesh = _open_hand(float(rng.uniform(*curls)), float(rng.uniform(0.6, 1.3)), rng)
    size = float(rng.uniform(0.88, 1.06))
    mirror = np.diag([float(side), 1.0, 1.0]) * size
    # The forearm comes from below on the hand's own side, towards the camera or level with it.
    rotation = turn(about_x=float(rng.uniform(-20, 5)), about_z=-side * float(rng.uniform(*rolls)))
    rest = np.array([0.0, -up * size, 6.0])
    target = fit.points_mm[landmark] + np.append(rng.normal(0, 5, 2), 0)
    mesh = moved(_mirrored(mesh, side), rotation @ np.abs(mirror), np.zeros(3))
    mesh = moved(mesh, np.eye(3), target - rotation @ rest)
    return occluder("hand", _pressed(mesh, depths), _skin_texture(skin), _SKIN)


def _mirrored(mesh: Mesh, side: int) -> Mesh:
    """Return the mesh, for the left hand mirrored in x with its triangles turned round."""
    if side > 0:
        return mesh
    vertices = mesh.vertices_mm * np.array([-1, 1, 1], np.float32)
    return Mesh(vertices, mesh.triangles[:, ::-1].copy(), mesh.uv, mesh.smooth_ids)


def _pressed(mesh: Mesh, depths: np.ndarray) -> Mesh:
    """Return the mesh moved towards the camera until it touches the face, soft where it does."""
    behind = in_front_of(depths, mesh.vertices_mm) - 1.0
    deep = mesh.vertices_mm[:, 2] - behind
    over_face = behind < 20.0
    shift = float(np.quantile(deep[over_face], 0.93)) if over_face.any() else 0.0
    vertices: np.ndarray = mesh.vertices_mm - np.array([0, 0, shift], np.float32)
    excess = np.maximum(deep - shift, 0) * over_face
    vertices[:, 2] -= np.minimum(excess, 14.0)
    return Mesh(vertices.astype(np.float32), mesh.triangles, mesh.uv, mesh.smooth_ids)


def _open_hand(curl: float, spread: float, rng: np.random.Generator) -> Mesh:
    """Return a right hand with bent fingers and its forearm; see `_FINGERS` for its axes."""
    pieces = [_palm()]
    for number, (x, y, length, radius, aside) in enumerate(_FINGERS):
        bend = curl * float(rng.uniform(0.7, 1.2)) * (1 + 0.12 * number)
        root = np.array([x, y + 14.0, 1.0])
        path = _finger_path(root, length + 14.0, bend, aside * spread)
        pieces.append(_finger(path, radius))
    thumb = _finger_path(np.array([22.0, -26.0, 4.0]), 84.0, 18.0 + 0.4 * curl, 38.0 * spread)
    pieces.append(_finger(thumb, 10.5, root_scale=1.5))
    pieces.append(_forearm())
    return joined(pieces)


def _finger_path(root: np.ndarray, length: float, bend: float, aside: float) -> np.ndarray:
    """Return (10, 3) points; the bend is spread over three joints, towards the palm."""
    at = np.linspace(0, 1, 10)
    joints = (0.0, 0.12, 0.3, 0.5, 0.66, 0.78, 0.9, 1.0)
    turned = np.array((0, 0.1, 0.45, 0.5, 0.95, 1.0, 1.4, 1.45))
    angle = np.interp(at, joints, turned * np.radians(bend))
    middle = (angle[1:] + angle[:-1]) / 2
    step = length / 9
    out = np.concatenate([[0], np.cumsum(np.cos(middle) * step)])
    depth = np.concatenate([[0], np.cumsum(np.sin(middle) * step)])
    sine, cosine = np.sin(np.radians(aside)), np.cos(np.radians(aside))
    return root + np.stack([out * sine, -out * cosine, depth], axis=1)


def _finger(path: np.ndarray, radius: float, root_scale: float = 1.05) -> Mesh:
    """Return a finger, thicker at its joints; its texture has the nail away from the palm."""
    profile = np.array([1.04, 1.04, 1.0, 0.97, 0.95, 1.0, 0.93, 0.88, 0.86, 0.78]) * radius
    profile[:4] *= np.linspace(root_scale, 1.0, 4)
    # `up` is the back of the finger, so u = 0 runs along it.
    return placed_uv(tube(path, profile, (0, 0, -1), 10), 0.0, 0.0, 0.5, 1.0)


def _palm() -> Mesh:
    y = np.array([6.0, -6.0, -22.0, -42.0, -62.0, -80.0, -94.0, -101.0])
    half_width = np.array([25.0, 27.0, 33.0, 38.0, 39.5, 39.5, 37.0, 30.0])
    half_depth = np.array([16.0, 16.0, 17.0, 16.0, 14.0, 12.0, 10.5, 8.0])
    x = np.array([0.0, 0.5, 2.0, 2.5, 1.5, 0.5, 0.0, 0.0])
    path = np.stack([x, y, np.full(8, 2.0)], axis=1)
    return placed_uv(tube(path, np.stack([half_depth, half_width], axis=1), sides=16, square=0.8),
                     0.55, 0.0, 0.95, 0.5)  # fmt: skip


def _forearm(length: float = 270.0) -> Mesh:
    y = np.linspace(-8.0, length, 8)
    wide = np.interp(y, (-8, 20, 120, 270), (26, 26, 36, 44))
    thick = np.interp(y, (-8, 20, 120, 270), (16.5, 19, 31, 40))
    path = np.stack([np.zeros(8), y, np.linspace(2, 6, 8)], axis=1)
    return placed_uv(tube(path, np.stack([thick, wide], axis=1), sides=14), 0.55, 0.5, 0.95, 1.0)


def _skin_texture(rgb: tuple[int, int, int]) -> np.ndarray:
    shade, nail = _hand_shade()
    texture = painted(shade, rgb)
    pink = np.array(rgb, np.float32) * [1.05, 0.98, 1.0] + [18, 16, 18]
    red = texture[..., :3] * np.array([1.0, 0.95, 0.93], np.float32)
    mixed = red * (1 - nail[..., None]) + pink.astype(np.float32) * nail[..., None]
    texture[..., :3] = mixed.clip(0, 255).astype(np.uint8)
    return texture


@lru_cache(maxsize=1)
def _hand_shade() -> tuple[np.ndarray, np.ndarray]:
    """Return (128, 128) shades with creases over the joints, and where the nails are."""
    v, u = (np.mgrid[0:128, 0:128].astype(np.float32) + 0.5) / 128
    across = np.minimum(u * 2, 1 - u * 2)  # 0 on the back of a finger, 0.5 on its palm side
    finger = u < 0.5
    shade = grain(128, 0.018, 7).copy()
    for joint, depth in ((0.42, 0.10), (0.66, 0.14), (0.64, 0.08), (0.40, 0.06)):
        shade -= finger * depth * np.exp(-(((v - joint) / 0.008) ** 2))
    nail = (((across / 0.115) ** 4 + ((v - 0.80) / 0.062) ** 4) < 1) & finger
    rim = (((across / 0.135) ** 4 + ((v - 0.80) / 0.072) ** 4) < 1) & finger & ~nail
    return np.asarray(shade - 0.22 * rim, np.float32), (0.85 * nail).astype(np.float32)


def _fist(radius: float, rng: np.random.Generator) -> Mesh:
    """Return a right hand around a rod along y of a radius, its index finger the uppermost.

    The palm is at x > 0 of the rod, the fingers run over the side of the camera (-z).
    """
    pieces = []
    for number, (_, _, length, thick, _) in enumerate(_FINGERS):
        around = radius + thick * 0.8
        reach = min(length * 1.25 / around, np.radians(250))
        angle = np.linspace(0.35, 0.35 - reach, 12)
        y = -27.0 + 18.0 * number + 1.5 * rng.normal() * np.linspace(0, 1, 12)
        path = np.stack([around * np.cos(angle), y, around * np.sin(angle)], axis=1)
        profile = np.append(
            np.full(8, thick), (0.97 * thick, 0.93 * thick, 0.88 * thick, 0.78 * thick)
        )
        mesh = tube(path, profile, (1, 0, 0.2), 10)
        pieces.append(placed_uv(mesh, 0.0, 0.0, 0.5, 1.0))
    pieces.append(_fist_palm(radius))
    angle = np.linspace(0.2, -1.7, 8)
    thumb = np.stack([(radius + 11) * np.cos(angle), np.linspace(-18, -46, 8),
                      (radius + 11) * np.sin(angle)], axis=1)  # fmt: skip
    widths = np.array([14, 13, 12, 11, 11, 10.5, 10, 9])
    pieces.append(placed_uv(tube(thumb, widths, (1, 0, 0.2), 10), 0.0, 0.0, 0.5, 1.0))
    wrist = np.array([radius + 18.0, 12.0, 14.0])
    arm = moved(_forearm(), turn(about_z=-24.0, about_x=8.0), wrist)
    return joined([*pieces, arm])


def _fist_palm(radius: float) -> Mesh:
    y = np.linspace(-36, 46, 8)
    thick = np.array([9, 13, 15, 16, 16, 16, 15, 12.0])
    wide = np.array([16, 22, 25, 26, 26, 25, 24, 22.0])
    path = np.stack([np.full(8, radius + 9.0) + np.linspace(0, 6, 8), y, np.linspace(2, 9, 8)], 1)
    return placed_uv(tube(path, np.stack([wide, thick], axis=1), sides=14), 0.55, 0.0, 0.95, 0.5)


def _microphone(
    fit: Fit, depths: np.ndarray, skin: tuple[int, int, int], rng: np.random.Generator
) -> list[Surface]:
    """Return a microphone at the mouth and, mostly, the fist that holds it."""
    head = float(rng.uniform(20, 27))
    grip, long = head * 0.62, float(rng.uniform(150, 190))
    ball = [(head * -np.cos(a), max(head * np.sin(a), 0.1)) for a in np.linspace(0.55, np.pi, 9)]
    rod = [(-long, 0.1), (-long, grip * 0.72), (-head * 1.4, grip), (-head * 0.95, grip * 1.25)]
    collar = [(-head * 1.0, grip * 1.3), (-head * 0.8, head * 0.8), (-head * 0.6, head * 0.86)]
    side = 1 if rng.random() < 0.5 else -1
    axis = unit(np.array([-0.5 * side * rng.random(), -1.0, rng.uniform(0.25, 0.8)]))
    mouth = (fit.points_mm[0] + fit.points_mm[17]) / 2
    place = mouth + np.array([rng.normal(0, 6), 10 + rng.uniform(0, 16), 0])
    zero = np.zeros(3)
    mesh = joined([
        placed_uv(lathe(ball, zero, axis, 18), 0.0, 0.0, 0.45, 1.0),
        placed_uv(lathe(rod, zero, axis, 14), 0.55, 0.0, 0.95, 0.7),
        placed_uv(lathe(collar, zero, axis, 16), 0.55, 0.75, 0.95, 1.0),
    ])  # fmt: skip
    held = rng.random() < 0.75
    gap = np.array([0, 0, -float(rng.uniform(4, 35))])
    place = place + gap
    place[2] -= _penetration(moved(mesh, np.eye(3), place), depths)
    surfaces = [occluder("microphone", moved(mesh, np.eye(3), place), _microphone_texture(rng),
                         Material(gloss=0.4, shininess=30.0))]  # fmt: skip
    if held:
        fist = _held(_fist(grip * 0.95, rng), axis, side)
        centre = place - axis * float(rng.uniform(75, 105))
        surfaces.append(
            occluder("hand", moved(fist, np.eye(3), centre), _skin_texture(skin), _SKIN)
        )
    return surfaces


def _held(fist: Mesh, axis: np.ndarray, side: int) -> Mesh:
    """Return the fist turned so that its rod lies along `axis`, of the right or the left hand."""
    up = -unit(axis)  # the fist's +y
    across = unit(np.cross(up, np.array([0.0, 0.0, 1.0])))
    rotation = np.stack([across, up, np.cross(across, up)], axis=1)
    return moved(_mirrored(fist, side), rotation, np.zeros(3))


def _penetration(mesh: Mesh, depths: np.ndarray) -> float:
    """Return how far a mesh must move towards the camera to be clear of the face."""
    behind = in_front_of(depths, mesh.vertices_mm)
    return max(float((mesh.vertices_mm[:, 2] - behind)[behind < 20].max(initial=0.0)) + 2.0, 0.0)


def _microphone_texture(rng: np.random.Generator) -> np.ndarray:
    v, u = np.mgrid[0:128, 0:128].astype(np.float32)
    mesh = 0.75 + 0.35 * np.sin(u * 1.9) * np.sin(v * 1.5)
    heads = ((150, 152, 156), (40, 40, 42), (70, 72, 76), (190, 160, 100), (150, 30, 30))
    bodies = ((28, 28, 30), (60, 62, 66), (170, 172, 176), (20, 24, 40))
    texture = painted(mesh.astype(np.float32), heads[int(rng.integers(len(heads)))])
    body = bodies[int(rng.integers(len(bodies)))]
    texture[:, 64:] = painted(np.asarray(grain(128, 0.03))[:, 64:], body)
    return texture


def _cup(
    fit: Fit, depths: np.ndarray, skin: tuple[int, int, int], rng: np.random.Generator
) -> list[Surface]:
    """Return a mug or a paper cup at the lips, tipped, and the fist around it."""
    radius, tall = float(rng.uniform(36, 43)), float(rng.uniform(84, 108))
    paper = rng.random() < 0.4
    foot = radius * (0.72 if paper else 0.96)
    inner = radius - 3.0
    profile = [(-tall, 0.1), (-tall, foot), (-tall * 0.66, foot + (radius - foot) * 0.34),
               (-tall * 0.33, foot + (radius - foot) * 0.67), (0.0, radius), (1.0, radius - 1.5),
               (0.0, inner), (-tall * 0.3, inner - 2), (-tall * 0.3, 0.1)]  # fmt: skip
    side = 1 if rng.random() < 0.5 else -1
    axis = unit(np.array([0.1 * rng.normal(), -1.0, rng.uniform(0.2, 0.75)]))
    back = unit(np.array([0, 0, 1.0]) - axis[2] * axis)
    lip = fit.points_mm[13] + np.array([rng.normal(0, 4), rng.uniform(-2, 14), 0])
    lip[2] = fit.points_mm[17, 2] - 1.0 - float(rng.choice((0.0, 40.0), p=(0.65, 0.35)))
    rim = lip - back * radius
    pieces = [placed_uv(lathe(profile, np.zeros(3), axis, 28), 0.0, 0.0, 1.0, 0.9)]
    if not paper:
        pieces.append(_handle(axis, -side, radius, tall))
    mesh = joined(pieces)
    rim[2] -= 0.8 * _penetration(moved(mesh, np.eye(3), rim), depths)
    fist = _held(_fist(radius - 1.0, rng), axis, side)
    grip = rim - axis * (tall * 0.55)
    looks = Material(gloss=0.08 if paper else 0.6, shininess=50.0)
    return [
        occluder("cup", moved(mesh, np.eye(3), rim), _cup_texture(rng), looks),
        occluder("hand", moved(fist, np.eye(3), grip), _skin_texture(skin), _SKIN),
    ]


def _handle(axis: np.ndarray, side: int, radius: float, tall: float) -> Mesh:
    angle = np.linspace(-1.35, 1.35, 12)
    out = unit(np.array([float(side), 0.0, 0.0]) - side * axis[0] * axis)
    reach, high = radius * 0.75, tall * 0.33
    path = out * (radius * 0.9 + reach * np.cos(angle))[:, None] - axis * (
        tall * 0.5 + high * np.sin(angle)
    )[:, None]  # fmt: skip
    return placed_uv(tube(path, np.array([[5.0, 7.0]] * 12), out, 8), 0.0, 0.92, 0.2, 1.0)


def _cup_texture(rng: np.random.Generator) -> np.ndarray:
    rgb = rng.choice(((240, 238, 232), (180, 40, 36), (36, 60, 110), (30, 30, 32), (200, 170, 130),
                      (90, 130, 110), (226, 196, 60)))  # fmt: skip
    texture = painted(np.ones((128, 128), np.float32), rgb)
    if rng.random() < 0.5:
        top = int(rng.integers(20, 40))
        texture[top : top + int(rng.integers(6, 22)), :, :3] = rng.integers(0, 256, 3)
    return texture
