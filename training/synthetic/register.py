"""Bring the people of ICT-FaceKit onto the base head, so that they can wear skin and hair.

The base head is bent once onto the mean head of ICT-FaceKit: landmarks first, then closest
points whose normals agree, ever less stiffly. Each vertex of the skin then keeps its place on
ICT's surface, so that the identity components can be carried over and stay linear. What has no
counterpart there (linings of mouth and eye sockets, the body) continues its surroundings
smoothly; eyeballs and teeth move and grow as ICT's own do.

`python -m training.synthetic.register_sheet` measures the registration and draws sheets.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from training.head_model.render import vertex_normals
from training.head_model.source import read_base_mesh
from training.head_model.topology import MOUTH, SKIN, SOCKET
from training.synthetic import nonrigid, register_data, register_units
from training.synthetic.nonrigid import Pins, Surface, Touch, bend, extend, hollow, smoothness
from training.synthetic.register_data import (
    ICT_SKIN,
    MATERIALS,
    Scan,
    Template,
    read_scan,
    read_template,
)
from training.synthetic.register_units import carry_units

COMPONENTS = 100
_CLIP = 2.5  # standard deviations
_SPREAD = (0.8, 1.0)
_STIFFNESS = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.5)
_CARRY_STIFFNESS = 0.1
_UNFOLD_ROUNDS, _FOLDED = 8, 0.35  # cosine between a triangle before and after
# Height on an axis slanted from under the chin to the nape, from the middle between the ears:
# above the first the neck lies on ICT's, below the second it is the base body's.
_SLANT = np.array([0.0, 1.0, 0.45])
_NECK_MM = (75.0, 130.0)
_BODY_MM = 165.0
_LINING_MM = (3.0, 12.0)  # depth over which linings turn from skin to what they line
_LINING_WEIGHT = 0.2
_SKIN_NEAR = 8  # vertices of the skin that a helper follows
_POINT_WEIGHTS = (0.02, 1.0, 8.0)  # jaw line, brows and nose, eyes and mouth
_ICT_EAR = (79.5, 72.5)  # |x| beyond which skin is ear, and lobe, mm of the mean head
_HOLLOW_MM, _NOSTRIL_MM = 6.0, 14.0  # skin that faces skin at less is inside a hollow


@dataclass(frozen=True, slots=True)
class Registration:
    """The registered head: everything is an offset from the rows of the base head, mm.

    Attributes:
        mean: (R, 3) float32.
        basis: (K, R, 3) float32 per standard deviation.
        triangle: (R,) ICT triangle under each row of the skin, −1 where there is none.
        bary: (R, 3) place in it.
        units: (52, R, 3) float32 at full strength, ICT's face units in the head model's order.
    """

    mean: np.ndarray
    basis: np.ndarray
    triangle: np.ndarray
    bary: np.ndarray
    units: np.ndarray


class IctPeople:
    """People of ICT-FaceKit on the topology of the base head.

    Args:
        data_dir: the data folder, with `ict` and `makehuman`.
        cache: folder that keeps the registration, which takes a minute; by default
            `~/.cache/voltface`.

    Attributes:
        model: (5013, 7034) sparse operator from the rows to the head model's source vertices.

    Raises:
        UserError: if a file is absent.
    """

    def __init__(self, data_dir: Path, cache: Path | None = None) -> None:
        base = read_base_mesh()
        self.template = read_template(data_dir, base)
        self.model = self.template.model
        self._registration = cached_registration(data_dir, self.template, cache)

    def draw_weights(self, rng: np.random.Generator) -> np.ndarray:
        """Draw (100,) identity weights in standard deviations."""
        spread = rng.uniform(*_SPREAD)
        return np.clip(spread * rng.normal(size=COMPONENTS), -_CLIP, _CLIP).astype(np.float32)

    def offsets(self, weights: np.ndarray) -> np.ndarray:
        """Return the (R, 3) float32 mm offsets from the base head for (100,) weights."""
        basis = self._registration.basis
        flat = np.einsum("k,kn->n", weights.astype(np.float32), basis.reshape(len(basis), -1))
        return self._registration.mean + flat.reshape(-1, 3)

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a person: (R, 3) float32 offsets in mm from the rows of the base head."""
        return self.offsets(self.draw_weights(rng))

    def sample_with_model(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a person for both meshes.

        Returns:
            (R, 3) offsets of the rows and (5013, 3) offsets of the head model's source
            vertices, float32 mm.
        """
        rows = self.sample(rng)
        return rows, (self.model @ rows).astype(np.float32)

    @property
    def units(self) -> np.ndarray:
        """ICT's face units in the head model's order: (52, R, 3) float32 mm at full strength."""
        return self._registration.units

    @property
    def registration(self) -> Registration:
        """What was found; not to be written to."""
        return self._registration


def cached_registration(data_dir: Path, template: Template, cache: Path | None) -> Registration:
    """Read the registration from the cache, or make and keep it."""
    folder = Path.home() / ".cache" / "voltface" if cache is None else cache
    digest = hashlib.sha256()
    for module in (nonrigid, register_data, register_units):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(Path(__file__).read_bytes())
    for part in ("ict/ict_facekit.npz", "makehuman/makehuman_head.npz"):
        if (data_dir / part).is_file():
            digest.update(f"{part} {(data_dir / part).stat().st_size}".encode())
    path = folder / f"ict_people_{digest.hexdigest()[:12]}.npz"
    names = ("mean", "basis", "triangle", "bary", "units")
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            return Registration(*(stored[name] for name in names))
    scan = read_scan(data_dir, template.points68 @ template.vertices)
    found = register(template, scan)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".partial", delete=False) as partial:
        np.savez(partial, **{name: getattr(found, name) for name in names})
    Path(partial.name).replace(path)  # whole or not at all, whoever else writes it
    return found


# --- registering --------------------------------------------------------------------------------


def register(template: Template, scan: Scan) -> Registration:
    """Bend the base head onto ICT's mean and carry the identity components over."""
    skin = np.unique(template.triangles)
    local = np.full(len(template.vertices), -1)
    local[skin] = np.arange(len(skin))
    triangles = local[template.triangles]
    points, parts = template.vertices[skin], template.parts[skin]
    surface = Surface(scan.vertices, scan.skin)
    reach = _reach(template, points) * _drawn(points, triangles, parts)
    bent = bend(points, triangles, surface, reach, _pins(template, scan, skin), _STIFFNESS)
    touch = surface.touch(bent, vertex_normals(bent, triangles))
    weights = reach * touch.trust
    aims = _on_surface(scan, touch, points)
    fields = _Fields(template, scan)
    known, weights = _with_linings(fields, points, parts, aims, weights)
    smooth = smoothness(points, triangles)
    weights = unfolded(points, triangles, known[:, :3], weights, smooth)
    carried = extend(known, weights, smooth, _CARRY_STIFFNESS)
    offsets = fields.fill(skin, carried)
    triangle = np.full(len(template.vertices), -1)
    bary = np.zeros((len(template.vertices), 3))
    sure = (touch.trust > 0.5) & (reach > 0.9)
    triangle[skin[sure]], bary[skin[sure]] = touch.triangle[sure], touch.bary[sure]
    units = carry_units(template, scan, touch, weights, smooth, offsets[0])
    return Registration(offsets[0], offsets[1:], triangle, bary, units)


def unfolded(
    points: np.ndarray,
    triangles: np.ndarray,
    offsets: np.ndarray,
    weights: np.ndarray,
    smooth: sparse.csr_matrix,
) -> np.ndarray:
    """Return the (V,) weights with those let go where triangles would turn over or crumple."""
    weights = weights.copy()
    before = _facing(points, triangles)
    for _ in range(_UNFOLD_ROUNDS):
        now = _facing(points + extend(offsets, weights, smooth, _CARRY_STIFFNESS), triangles)
        folded = (before * now).sum(1) < _FOLDED
        loose = np.unique(triangles[folded])
        loose = loose[weights[loose] > 0]
        if len(loose) == 0:
            break
        ring = np.unique(triangles[np.isin(triangles, loose).any(1)])
        weights[ring] *= 0.3
        weights[loose] = 0.0
    return weights


def _facing(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _reach(template: Template, points: np.ndarray) -> np.ndarray:
    """(V,) 1 on the head, falling to 0 where the neck becomes the body's."""
    height = _slanted(template, points)
    share = np.clip((height - _NECK_MM[0]) / (_NECK_MM[1] - _NECK_MM[0]), 0, 1)
    return 1 - share * share * (3 - 2 * share)


def _slanted(template: Template, points: np.ndarray) -> np.ndarray:
    ears = template.vertices[template.labels == 3].mean(0) * [0, 1, 1]
    return (points - ears) @ _SLANT


def _drawn(points: np.ndarray, triangles: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(V,) 0…1 how much skin is drawn to ICT's: nostrils, inner lips and lid margins are not.

    ICT closes nostrils and ear holes where the base head has hollows, and its linings start
    elsewhere, so these follow their surroundings.
    """
    lining = np.isin(parts, (MOUTH, SOCKET))
    drawn = 1.0 - lining
    rings = lining[triangles].any(1)
    drawn[np.unique(triangles[rings])] = 0.0
    edge = (drawn[triangles] == 0).any(1)
    drawn[np.unique(triangles[edge])] = np.minimum(drawn[np.unique(triangles[edge])], 0.3)
    skin = ~lining[triangles].all(1)
    limits = np.where(parts == SKIN, _HOLLOW_MM, 0.0)
    nose = np.linalg.norm(points - points[_nose_tip(points, parts)], axis=1) < 45.0
    limits[nose & (parts == SKIN)] = _NOSTRIL_MM
    drawn[hollow(points, triangles[skin], vertex_normals(points, triangles), limits)] = 0.0
    return drawn


def _nose_tip(points: np.ndarray, parts: np.ndarray) -> int:
    return int(np.where(parts == SKIN, points[:, 2], np.inf).argmin())


def _pins(template: Template, scan: Scan, skin: np.ndarray) -> Pins:
    """Hold landmarks, ears and the body.

    The jaw line is soft, as its points slide along it from one convention to another.
    """
    points = template.vertices[skin]
    weights = np.full(68, _POINT_WEIGHTS[1])
    weights[:17], weights[36:] = _POINT_WEIGHTS[0], _POINT_WEIGHTS[2]
    aims, operator = scan.vertices[scan.points68], template.points68[:, skin]
    ours, theirs = _ear_pins(template, scan, skin)
    body = np.flatnonzero(_slanted(template, points) > _BODY_MM)
    return Pins(weights, aims, operator, np.arange(68) < 27).joined(
        Pins.of_vertices(ours, theirs, 3.0, len(points), fading=True),
        Pins.of_vertices(body, points[body], 10.0, len(points)),
    )


def _ear_pins(template: Template, scan: Scan, skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the top, back, bottom and outermost places of both ears."""
    ours, theirs = [], []
    labels, points = template.labels[skin], template.vertices[skin]
    eyes = scan.vertices[scan.points68[36:48], 1].mean()
    target = scan.vertices[:ICT_SKIN]
    for side in (-1, 1):
        own = np.flatnonzero((labels == 3) & (side * points[:, 0] > 0))
        width, height = side * target[:, 0], target[:, 1] - eyes
        upper = (width > _ICT_EAR[0]) & (np.abs(height) < 50)
        lobe = (width > _ICT_EAR[1]) & (height > 40) & (height < 60)
        their = np.flatnonzero(upper | lobe)
        for way in np.array([[0, -1, 0], [0, 0, 1], [0, 1, 0], [side, 0, 0]]):
            ours.append(own[(points[own] @ way).argmax()])
            theirs.append(target[their[(target[their] @ way).argmax()]])
    return np.array(ours), np.array(theirs)


def _on_surface(scan: Scan, touch: Touch, points: np.ndarray) -> np.ndarray:
    """Offsets of places on ICT: of the mean from the points, then of each component.

    Returns:
        (V, (1 + K) · 3) mm.
    """
    corners = scan.skin[touch.triangle]
    bary = touch.bary.astype(np.float32)
    mean = touch.places - points
    moved = [np.einsum("nk,nkd->nd", bary, one[corners]) for one in scan.identity]
    return np.hstack([mean, *moved])


class _Fields:
    """How eyeballs and teeth move: shift and growth, for the mean and each component."""

    def __init__(self, template: Template, scan: Scan) -> None:
        self.template, self._count = template, 1 + len(scan.identity)
        self.of = {name: self._field(name, scan) for name in MATERIALS}

    def _field(self, name: str, scan: Scan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centre (3,), shift (1 + K, 3) and growth (1 + K,) about it."""
        rows = self.template.vertices[self.template.groups[name]]
        theirs = scan.vertices[scan.parts[name]]
        middle, grow = _box_middle(rows), 0.0
        aim = _box_middle(theirs)
        if name == "teeth":  # front and width count; ICT's teeth go farther back
            middle[2], aim[2] = rows[:, 2].min(), theirs[:, 2].min()
        else:
            radius = np.median(np.linalg.norm(rows - middle, axis=1))
            grow = np.median(np.linalg.norm(theirs - aim, axis=1)) / radius - 1
        from_middle = (theirs - aim) / (1 + grow)
        offsets = scan.identity[:, scan.parts[name]]
        shift = offsets.mean(1)
        spread = from_middle - from_middle.mean(0)
        growth = np.einsum("knd,nd->k", offsets - shift[:, None], spread) / (spread**2).sum()
        shift = shift - growth[:, None] * from_middle.mean(0)
        return middle, np.vstack([aim - middle, shift]), np.concatenate([[grow], growth])

    def at(self, name: str, points: np.ndarray) -> np.ndarray:
        """Offsets of (N, 3) points that go with a part: (N, (1 + K) · 3)."""
        middle, shift, growth = self.of[name]
        moved = shift + growth[:, None] * (points - middle)[:, None]
        return moved.reshape(len(points), -1)

    def fill(self, skin: np.ndarray, carried: np.ndarray) -> np.ndarray:
        """Spread the skin's offsets to all rows: (1 + K, R, 3) float32."""
        vertices = self.template.vertices
        out = np.zeros((len(vertices), carried.shape[1]), np.float32)
        distance, near = cKDTree(vertices[skin]).query(vertices, k=_SKIN_NEAR)
        share = 1 / (distance + 0.5) ** 2
        share /= share.sum(1, keepdims=True)
        for column in range(_SKIN_NEAR):
            out += share[:, column, None].astype(np.float32) * carried[near[:, column]]
        out[skin] = carried
        for name in MATERIALS:
            rows = self.template.groups[name]
            out[rows] = self.at(name, vertices[rows])
        return np.ascontiguousarray(out.reshape(len(out), self._count, 3).transpose(1, 0, 2))


def _box_middle(points: np.ndarray) -> np.ndarray:
    return (points.min(0) + points.max(0)) / 2


def _with_linings(
    fields: _Fields,
    points: np.ndarray,
    parts: np.ndarray,
    aims: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Make the depth of mouth and eye sockets go with teeth and eyeballs, the body rest."""
    known, weights = aims.copy(), weights.copy()
    rim = cKDTree(points[parts == SKIN])
    depth = rim.query(points)[0]
    share = np.clip((depth - _LINING_MM[0]) / (_LINING_MM[1] - _LINING_MM[0]), 0, 1)
    sides = {"teeth": parts == MOUTH}
    sides["right"] = (parts == SOCKET) & (points[:, 0] < 0)
    sides["left"] = (parts == SOCKET) & (points[:, 0] > 0)
    for name, rows in sides.items():
        known[rows] = fields.at(name, points[rows])
        weights[rows] = _LINING_WEIGHT * share[rows]
    body = _slanted(fields.template, points) > _BODY_MM
    known[body], weights[body] = 0.0, 1.0
    return known, weights
