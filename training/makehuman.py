"""MakeHuman heads with hair, eyes, brows and skin, for pictures whose depth is known.

The file `makehuman/makehuman_head.npz` of the data folder holds the base mesh, its shape
targets and its parts (CC0); decimetres, y up, z to the front. What leaves this module is in
head space: millimetres, x right, y down, z forward, origin in the middle of the cranium.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from stream.errors import UserError
from training.render import Part

FACE, HAIR, EAR, NECK, MOUTH, EYES, BODY = 1, 2, 3, 4, 5, 6, 7  # labels of the contract

SKINS = (
    "young_lightskinned_female_diffuse2_2048",
    "young_lightskinned_male_diffuse3_2048",
    "young_darkskinned_male_diffuse_2048",
    "middleage_lightskinned_male_diffuse_2048",
)
HAIR_STYLES = (
    *("afro01", "bob01", "bob02", "braid01", "long01"),
    *("ponytail01", "short01", "short02", "short03", "short04"),
)

_ORIGIN_FROM_EARS_DM = np.array([0.0, 0.25, 0.0])  # middle of the cranium seen from the ears
_TO_HEAD_MM = np.array([100.0, -100.0, -100.0])
# The head turns as a whole above a plane from under the chin to the nape, the body stays below
# the collar; between them each vertex follows by a smooth share. Height on that slanted axis, mm:
_SLANT = np.array([0.0, 1.0, 0.45])
_FOLLOW_ALL_MM, _FOLLOW_NONE_MM = 108.0, 165.0
_NECK_JOINT_MM = np.array([0.0, 95.0, 30.0])
_PART_LABELS = {"hair": HAIR, "eyes": EYES, "teeth": MOUTH, "tongue": MOUTH}


@dataclass(frozen=True, slots=True)
class Person:
    """What a rendered person looks like.

    Attributes:
        shape: strength of shape targets by name.
        skin: name of a skin texture without `skin_`.
        hair: name of a hair style, or None for a bald head.
        eyes: name of an iris texture without `_eye`.
        brows: name of an eyebrow part.
    """

    shape: Mapping[str, float]
    skin: str = SKINS[0]
    hair: str | None = "short04"
    eyes: str = "brown"
    brows: str = "eyebrow001"


def sample_person(seed: int) -> Person:
    """Return a plausible random person; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    skin = SKINS[seed % len(SKINS)]
    gender = "female" if "female" in skin else "male"
    origin = "african" if "dark" in skin else ("caucasian", "asian")[int(rng.integers(2))]
    macro = f"macrodetails/universal-{gender}-young-averagemuscle-averageweight"
    shape = {f"macrodetails/{origin}-{gender}-young": 1.0, macro: 1.0}
    for name in ("nose/nose-scale-depth-incr", "chin/chin-width-incr", "head/head-oval"):
        shape[name] = float(rng.uniform(0.0, 0.5))
    brows = f"eyebrow{int(rng.integers(1, 13)):03d}"
    return Person(shape, skin, HAIR_STYLES[seed % len(HAIR_STYLES)], "brown", brows)


class HeadLibrary:
    """The heads of the data folder, read once."""

    def __init__(self, folder: Path) -> None:
        """Open `makehuman_head.npz` and remember where its textures lie.

        Args:
            folder: the `makehuman` folder of the data folder.
        """
        with np.load(folder / "makehuman_head.npz") as stored:
            self._arrays = {name: stored[name] for name in stored.files}
        self._textures = folder / "tex"
        names = [str(name) for name in self._arrays["target_names"]]
        self._targets = {name: i for i, name in enumerate(names)}
        self._ear_vertices = self._find_ears()

    def parts(self, person: Person) -> list[Part]:
        """Build the textured meshes of a person in head space; unknown targets are left out."""
        base_dm = self._shaped(person.shape)
        parts = [self._skin(base_dm, person.skin)]
        parts.append(self._part(base_dm, "eyes/high-poly", f"{person.eyes}_eye.webp"))
        parts.append(self._part(base_dm, f"eyebrows/{person.brows}", f"{person.brows}.webp"))
        parts.append(self._part(base_dm, "eyelashes/eyelashes01", "eyelashes01.webp"))
        parts.append(self._part(base_dm, "teeth/teeth_base", "teeth.webp"))
        if person.hair is not None:
            parts.append(self._part(base_dm, f"hair/{person.hair}", f"hair_{person.hair}.webp"))
        return parts

    def _target(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start, stop = self._arrays["target_ptr"][index : index + 2]
        moved = self._arrays["target_idx"][start:stop]
        return moved, self._arrays["target_delta"][start:stop].astype(np.float64)

    def _find_ears(self) -> np.ndarray:
        """Return the vertices that the ear targets move a good deal."""
        moved_dm = np.zeros(len(self._arrays["v"]))
        for name, index in self._targets.items():
            if name.startswith("ears/"):
                moved, delta = self._target(index)
                moved_dm[moved] = np.maximum(moved_dm[moved], np.linalg.norm(delta, axis=1))
        moved_dm[np.setdiff1d(np.arange(len(moved_dm)), self._arrays["f"])] = 0.0
        return np.flatnonzero(moved_dm > 0.35 * moved_dm.max())

    def _shaped(self, shape: Mapping[str, float]) -> np.ndarray:
        vertices_dm = self._arrays["v"].astype(np.float64)
        for name, strength in shape.items():
            if name in self._targets:
                moved, delta = self._target(self._targets[name])
                np.add.at(vertices_dm, moved, strength * delta)
        return vertices_dm

    def _skin(self, base_dm: np.ndarray, skin: str) -> Part:
        faces = self._arrays["f"]
        vertices = self._to_head(base_dm, base_dm)
        labels = np.full(len(vertices), FACE, np.uint8)
        labels[self._ear_vertices] = EAR
        follow = follow_weight(vertices)
        labels[follow < 0.9] = NECK
        labels[follow <= 0.0] = BODY
        picture = _read_rgba(self._textures / f"skin_{skin}.jpg")
        return _weld(vertices, faces, self._arrays["vt"], self._arrays["ft"], picture, labels)

    def _part(self, base_dm: np.ndarray, name: str, texture: str) -> Part:
        get = {k: self._arrays[f"part:{name}:{k}"] for k in ("ref", "w", "off", "scale", "f")}
        pairs, lengths = get["scale"][:, :2].astype(int), get["scale"][:, 2]
        axes = np.arange(3)
        size = np.abs(base_dm[pairs[:, 0], axes] - base_dm[pairs[:, 1], axes]) / lengths
        placed = np.einsum("nk,nkc->nc", get["w"], base_dm[get["ref"]]) + get["off"] * size
        kind = name.split("/", maxsplit=1)[0]
        labels = np.full(len(placed), _PART_LABELS.get(kind, FACE), np.uint8)
        uv, corners = self._arrays[f"part:{name}:vt"], self._arrays[f"part:{name}:ft"]
        picture = _read_rgba(self._textures / texture)
        return _weld(self._to_head(placed, base_dm), get["f"], uv, corners, picture, labels)

    def _to_head(self, points_dm: np.ndarray, base_dm: np.ndarray) -> np.ndarray:
        origin_dm = base_dm[self._ear_vertices].mean(axis=0) + _ORIGIN_FROM_EARS_DM
        return ((points_dm - origin_dm) * _TO_HEAD_MM).astype(np.float32)


def follow_weight(points_mm: np.ndarray) -> np.ndarray:
    """Return (N,) how far (N, 3) head-space points follow the head: 1 the head, 0 the body."""
    # Not by BLAS: for this little it would start threads, which costs more than it saves.
    height_mm = np.einsum("nd,d->n", points_mm, _SLANT)
    share = (_FOLLOW_NONE_MM - height_mm) / (_FOLLOW_NONE_MM - _FOLLOW_ALL_MM)
    share = share.clip(0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def turned(parts: list[Part], axis_angle: np.ndarray) -> list[Part]:
    """Turn the heads of `parts` about the neck joint while the body stays.

    Args:
        parts: meshes in head space.
        axis_angle: (3,) rotation in radians, head space.
    """
    return [
        replace(part, vertices_mm=_turn(part.vertices_mm, np.asarray(axis_angle))) for part in parts
    ]


def _turn(points_mm: np.ndarray, axis_angle: np.ndarray) -> np.ndarray:
    """Rotate each point by its share of the angle, so that the neck twists smoothly."""
    angle = float(np.linalg.norm(axis_angle))
    if angle == 0.0:
        return points_mm
    axis = axis_angle / angle
    part_angle = (angle * follow_weight(points_mm))[:, None]
    arm = points_mm - _NECK_JOINT_MM
    along = (arm @ axis)[:, None] * axis * (1.0 - np.cos(part_angle))
    swung = arm * np.cos(part_angle) + np.cross(axis, arm) * np.sin(part_angle) + along
    return (swung + _NECK_JOINT_MM).astype(np.float32)


def _weld(
    vertices: np.ndarray,
    faces: np.ndarray,
    uv: np.ndarray,
    uv_faces: np.ndarray,
    picture: np.ndarray,
    labels: np.ndarray,
) -> Part:
    """Give every (vertex, UV) pair in use its own vertex, with its normals kept smooth."""
    pairs = np.stack([faces.ravel(), uv_faces.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    corner_uv = uv[unique[:, 1]].astype(np.float32) * [1, -1] + [0, 1]  # origin to the top left
    return Part(
        vertices_mm=vertices[unique[:, 0]],
        triangles=inverse.reshape(-1, 3).astype(np.int32),
        uv=corner_uv.astype(np.float32),
        texture=picture,
        labels=labels[unique[:, 0]],
        smooth_ids=unique[:, 0].astype(np.int32),
    )


def _read_rgba(path: Path) -> np.ndarray:
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise UserError(
            f"{path.name} cannot be read",
            "the texture is absent or broken",
            "Fetch the makehuman folder again.",
        )
    has_alpha = stored.shape[2] == 4
    return cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA if has_alpha else cv2.COLOR_BGR2RGBA)
