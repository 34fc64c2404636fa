"""Glasses: rims, bridge, temples and lenses, set on the nose and over the ears."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stream.head_model import load_head_model
from training.synthetic.accessories.fitting import Fit, side_profile
from training.synthetic.accessories.mesh import Mesh, grid, joined, occluder, painted, tube
from training.synthetic.accessories.spec import AccessorySpec
from training.synthetic.scene import Label, Material, Surface

_CORNERS = 36
# kind: half width, half height, squareness (2 ellipse, more is boxier), droop, rim radius, depth
_SHAPES = {
    "round": (23.0, 22.0, 2.0, 0.0, 0.9, 1.1),
    "rectangular": (26.0, 16.5, 4.0, 0.0, 1.3, 1.7),
    "aviator": (28.5, 23.0, 2.4, 0.28, 0.8, 1.0),
    "half-rim": (26.0, 16.0, 3.4, 0.0, 1.0, 1.5),
    "thick": (25.0, 19.5, 3.2, 0.06, 2.7, 2.3),
}
_PLASTIC = ((22, 22, 24), (60, 36, 22), (104, 62, 34), (24, 34, 70), (120, 24, 30), (206, 200, 190),
            (70, 82, 70), (150, 110, 74), (35, 60, 66), (16, 16, 16))  # fmt: skip
_METAL = ((190, 160, 90), (170, 172, 176), (60, 60, 64), (150, 105, 85), (26, 26, 28))


@dataclass(frozen=True, slots=True)
class _Front:
    """The plane of the lenses: z over x and y, mm."""

    centre_x: float
    centre_y: float
    z: float
    tilt: float
    wrap: float

    def depth(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.z + self.tilt * (y - self.centre_y) + self.wrap * x * x)


def glasses(spec: AccessorySpec, fit: Fit) -> list[Surface]:
    """Return frame and lenses of the kind `spec.glasses`, in head space."""
    kind = spec.glasses or "round"
    rng = spec.rng(1)
    half_width, half_height, square, droop, rim, deep = _SHAPES[kind]
    size = float(rng.uniform(0.93, 1.07)) * (1.1 if spec.sunglasses else 1.0)
    half = np.array([half_width, half_height]) * size
    outline = _outline(half[0], half[1], square, droop)
    front = _front(fit, rng, half)
    rings = [_ring(outline, front, side) for side in (-1, 1)]
    rim *= float(rng.uniform(0.85, 1.2))
    pieces = [_rim(ring, kind, rim, deep) for ring in rings]
    pieces += _bridge(fit, front, rings, kind, rim)
    pieces += [_temple(fit, rings[0], -1, rim, deep), _temple(fit, rings[1], 1, rim, deep)]
    pieces += _pads(fit, front) if kind in ("round", "aviator", "half-rim") else []
    frame = occluder("glasses", joined(pieces), _frame_texture(kind, rng), Material(0.5, 40.0))
    return [frame, _lenses(rings, front, spec.sunglasses, rng)]


@lru_cache(maxsize=1)
def _eye_region() -> np.ndarray:
    """Return the vertices that lenses must stay in front of."""
    model = load_head_model()
    x, y, z = model.vertices.T
    lens = (np.abs(x) > 13) & (np.abs(x) < 58) & (y > 26) & (y < 68) & (z < -60)
    return np.flatnonzero(lens & np.isin(model.labels, (1, 6)))


def _front(fit: Fit, rng: np.random.Generator, half: np.ndarray) -> _Front:
    """Put the plane just clear of brows, lids and cheeks, but no nearer than the nose bears."""
    points = fit.points_mm
    eyes = points[[33, 133, 362, 263]]
    spread = float(np.abs(eyes[:, 0]).mean())
    y = float(eyes[:, 1].mean() + rng.uniform(1.0, 4.0) + 0.1 * (half[1] - 16))
    tilt, wrap = float(rng.uniform(0.08, 0.16)), float(rng.uniform(0.0010, 0.0017))
    flat = _Front(max(spread + 1.0, half[0] + 8.5), y, 0.0, tilt, wrap)
    near = fit.head_mm[_eye_region()]
    near = near[np.abs(near[:, 1] - y) < half[1] + 2]
    clear = float((near[:, 2] - flat.depth(near[:, 0], near[:, 1])).min()) - 1.8
    bearing = float(points[6, 2]) + 1.0  # at the latest here the nose pads touch
    return _Front(flat.centre_x, y, min(clear, bearing), tilt, wrap)


@lru_cache(maxsize=64)
def _unit_outline(square: float, droop: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, _CORNERS + 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = np.sign(cosine) * np.abs(cosine) ** (2 / square)
    y = np.sign(sine) * np.abs(sine) ** (2 / square)
    x = x * (1 - droop * 0.35 * np.maximum(y, 0)) + droop * 0.45 * np.maximum(y, 0)
    x = x * (1 - 0.06 * np.maximum(y, 0))  # narrower below, as most frames are
    return np.stack([x, y + droop * 0.25 * (y > 0) * np.abs(y)], axis=1)


def _outline(half_width: float, half_height: float, square: float, droop: float) -> np.ndarray:
    """Return (37, 2) closed outline of the lens on the right; x > 0 is outwards, y down."""
    # A drooping lens leans outwards below; its mirror image serves the other side.
    return np.asarray(_unit_outline(square, droop) * np.array([half_width, half_height]))


def _ring(outline: np.ndarray, front: _Front, side: int) -> np.ndarray:
    x = side * (front.centre_x + outline[:, 0])
    y = front.centre_y + outline[:, 1]
    return np.stack([x, y, front.depth(x, y)], axis=1)


def _rim(ring: np.ndarray, kind: str, rim: float, deep: float) -> Mesh:
    if kind == "half-rim":
        upper = np.arange(_CORNERS // 2, _CORNERS + 1)  # y grows downwards
        return tube(ring[upper], np.array([[rim * deep, rim * 1.3]] * len(upper)), sides=6)
    radii = np.array([[rim * min(deep, 1.4), rim]] * len(ring))
    return tube(ring, radii, sides=6, looped=True, square=0.7 if rim > 1.1 else 1.0)


def _bridge(fit: Fit, front: _Front, rings: list[np.ndarray], kind: str, rim: float) -> list[Mesh]:
    """Return the piece over the nose, arched to clear it."""
    inner = float(np.abs(rings[0][:, 0]).min())
    nose = fit.points_mm[[168, 6, 197]]
    heights = [front.centre_y - 5.0]
    if kind == "aviator":
        heights = [front.centre_y - 3.0, front.centre_y - 17.0]
    if kind in ("thick", "rectangular"):
        heights = [front.centre_y - 7.0]
    x = np.linspace(-inner - 1.5, inner + 1.5, 11)
    pieces = []
    for height in heights:
        y = height + 3.0 * (x / inner) ** 2 * (kind != "aviator")
        surface = float(np.interp(height, nose[:, 1], nose[:, 2]))
        arch = (1 - (x / (inner + 1.5)) ** 2).clip(0)
        wanted = min(surface - rim - 1.0, float(front.z))
        edge = front.depth(x, y)
        z = edge + (wanted - edge) * arch**0.7
        thick = rim * (1.25 if kind in ("thick", "rectangular") else 1.0)
        pieces.append(tube(np.stack([x, y, z], axis=1), thick, sides=6))
    return pieces


def _pads(fit: Fit, front: _Front) -> list[Mesh]:
    """Return the two nose pads with their stalks."""
    pieces = []
    nose = fit.points_mm[[6, 197]]
    for side in (-1, 1):
        x, y = side * 9.5, front.centre_y + 5.5
        surface = float(np.interp(y, nose[:, 1], nose[:, 2]))
        pad = np.array([[x * 0.9, y - 4, surface + 5.0], [x * 1.1, y + 4, surface + 6.5]])
        rim = np.array([side * 13.0, y - 3, front.z])
        pieces.append(tube(pad, 1.6, up=(1, 0, 0), sides=6))
        pieces.append(tube(np.stack([rim, pad.mean(axis=0)]), 0.5, sides=4))
    return pieces


def _temple(fit: Fit, ring: np.ndarray, side: int, rim: float, deep: float) -> Mesh:
    """Return the arm from the rim, along the side of the head, over the ear and down behind."""
    ear = fit.ears_mm[0 if side < 0 else 1]
    top = ear[ear[:, 1].argmin()]
    depths, widths = side_profile(fit.head_mm, side)
    upper = ring[ring[:, 1] < ring[:, 1].mean() - 0.25 * np.ptp(ring[:, 1])]
    hinge = upper[(side * upper[:, 0]).argmax()]
    rest_z = float(top[2]) - 8.0
    rest = np.array([0.0, float(top[1]) + 0.5 - rim, rest_z])
    z = np.concatenate([[hinge[2], hinge[2] + 3.0], np.linspace(hinge[2] + 12, rest_z, 8)])
    share = ((z - hinge[2]) / (rest_z - hinge[2])).clip(0, 1)
    y = hinge[1] + (rest[1] - hinge[1]) * share
    straight = side * hinge[0] + (np.interp(rest_z, depths, widths) + 1 - side * hinge[0]) * share
    width = np.maximum(straight, np.interp(z, depths, widths) + 0.8 + rim)
    width[:2] = side * hinge[0] + np.array([0.0, 2.5])
    over = np.stack([side * width, y, z], axis=1)
    behind_z = np.array([8.0, 15.0, 21.0, 27.0]) + rest_z
    behind_x = np.interp(behind_z, depths, widths) + np.array([1.2, 1.4, 1.2, 0.8])
    behind_y = rest[1] + np.array([1.5, 6.0, 16.0, 30.0])
    path = np.concatenate([over, np.stack([side * behind_x, behind_y, behind_z], axis=1)])
    tall = np.linspace(min(max(rim * deep, 1.3), 4.2), max(rim * 0.9, 1.0), len(path))
    return tube(path, np.stack([tall, np.full(len(path), max(rim * 0.7, 0.7))], 1), (0, -1, 0), 6)


def _frame_texture(kind: str, rng: np.random.Generator) -> np.ndarray:
    metal = kind in ("round", "aviator", "half-rim") and rng.random() < 0.75
    colours = _METAL if metal else _PLASTIC
    rgb = np.array(colours[int(rng.integers(len(colours)))], np.float32)
    shade = np.ones((16, 16), np.float32)
    if not metal and rng.random() < 0.3:  # tortoise shell
        shade = 0.55 + 0.9 * rng.random((16, 16)).astype(np.float32) ** 2
    return painted(shade, rgb)


def _lenses(
    rings: list[np.ndarray], front: _Front, dark: bool, rng: np.random.Generator
) -> Surface:
    pieces = []
    for ring, side in zip(rings, (-1, 1), strict=True):
        middle = ring[:-1].mean(axis=0)
        shares = np.array([1.0, 0.66, 0.33, 0.0])[:, None, None]
        net = middle + (ring[None] - middle) * shares
        net[..., 2] = front.depth(net[..., 0], net[..., 1]) - 1.2 * (1 - shares[..., 0] ** 2)
        mesh = grid(net if side < 0 else net[:, ::-1], closed=True)
        low, high = ring[:, :2].min(axis=0), ring[:, :2].max(axis=0)
        flat = ((net if side < 0 else net[:, ::-1])[..., :2].reshape(-1, 2) - low) / (high - low)
        pieces.append(Mesh(mesh.vertices_mm, mesh.triangles, flat.astype(np.float32),
                           mesh.smooth_ids))  # fmt: skip
    texture = _lens_texture(dark, int(rng.integers(8)), int(rng.integers(5)))
    material = Material(gloss=0.9, shininess=90.0, lens=True)
    label = Label.OCCLUDER if dark else Label.FACE
    return occluder("lenses", joined(pieces), texture, material, label)


@lru_cache(maxsize=128)
def _lens_texture(dark: bool, number: int, tint: int) -> np.ndarray:
    """Return (64, 64, 4) RGBA: thin glass with a streak, or dark glass that fades downwards."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:64, 0:64].astype(np.float32) / 63
    place, width = rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.16)
    streak = np.exp(-(((x + 0.6 * y - place) / width) ** 2)) * (1 - y) ** 0.5
    texture = np.empty((64, 64, 4), np.float32)
    if dark:
        tints = ((18, 18, 20), (40, 26, 16), (16, 30, 24), (20, 24, 46), (34, 18, 30))
        texture[..., :3] = np.array(tints[tint]) + 60 * streak[..., None]
        texture[..., 3] = 255 * (0.97 - (0.12 if number % 2 else 0.03) * y)
    else:
        tints = (
            (225, 232, 240),
            (225, 240, 232),
            (235, 235, 235),
            (215, 225, 250),
            (240, 235, 225),
        )
        texture[..., :3] = np.array(tints[tint])
        texture[..., 3] = 255 * (0.05 + 0.10 * rng.uniform(0.3, 1.0) * streak)
    return texture.clip(0, 255).astype(np.uint8)
