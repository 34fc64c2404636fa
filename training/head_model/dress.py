"""Dress sampled heads in the shared CC0 skins, eyes, brows and hair, for rendering."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import sparse

from training.head_model.people import load_targets, sample_people
from training.head_model.render import Layer, vertex_normals
from training.head_model.source import (
    HEAD_FROM_SOURCE,
    BaseMesh,
    face_unit_files,
    read_target,
    target_name,
)

# Styles that leave eyes and brows free; short04 and braid01 belong to the validation set.
STYLES = ("afro01", "long01", "ponytail01", "short01", "short02")
CUTOFF = {"hair": 0.45, "eyebrows": 0.1, "eyelashes": 0.1, "eyes": 0.4, "teeth": 0.0}


@dataclass(frozen=True, slots=True)
class Part:
    """A mesh that follows the head: its corners hang on three head vertices each.

    Offsets are in the source's decimetres; their scale compares millimetres with decimetres.
    """

    name: str
    refs: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    scale: np.ndarray
    triangles: np.ndarray
    corners_uv: np.ndarray
    uv: np.ndarray

    def place(self, head: np.ndarray) -> np.ndarray:
        """Positions of the part on a head (N, 3), head axes, mm."""
        size = [
            abs(head[int(i), axis] - head[int(j), axis]) / distance
            for axis, (i, j, distance) in enumerate(self.scale)
        ]
        hung = np.einsum("nk,nkd->nd", self.weights, head[self.refs])
        return hung + self.offsets * np.array(size) * np.sign(HEAD_FROM_SOURCE)


class Wardrobe:
    """Heads with skins and parts, from the shared MakeHuman data.

    Args:
        folder: the ``makehuman`` data folder.
        base: the base mesh.
    """

    def __init__(self, folder: Path, base: BaseMesh) -> None:
        self._textures = folder / "tex"
        with np.load(folder / "makehuman_head.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        self.ids = arrays["base_vertex_ids"]
        apart = np.abs(arrays["v"] * HEAD_FROM_SOURCE - base.vertices[self.ids]).max()
        if apart > 0.01:
            raise ValueError(f"{folder.name}: another base mesh ({apart:.3f} mm apart)")
        self.skin = (arrays["f"], arrays["ft"], arrays["vt"])
        names = {key.split(":")[1] for key in arrays if key.startswith("part:")}
        self.parts = {name: _part(arrays, name) for name in sorted(names)}
        count = len(self.ids)
        self.select = sparse.csr_matrix(
            (np.ones(count), (np.arange(count), self.ids)), shape=(count, len(base.vertices))
        )
        self.base = base.vertices[self.ids]
        self.targets = load_targets(self.select)
        self.units = _face_units(self.select)
        # Every fifth skin is left to validation.
        self.skins = self.skins_of(held_out=False)
        self._pictures: dict[str, np.ndarray] = {}

    def names(self, pattern: str) -> list[str]:
        """List the names of textures."""
        return sorted(path.name for path in self._textures.glob(pattern))

    def skins_of(self, held_out: bool) -> list[str]:
        """List the skins: those of the validation set (every fifth), or all others."""
        skins = enumerate(self.names("skin_*"))
        return [name for number, name in skins if (number % 5 == 0) == held_out]

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw people with mild random expressions: (count, len(ids), 3) mm, head axes."""
        heads = sample_people(self.targets, count, rng) + self.base
        names = list(self.units)
        for number in range(count):
            for name, strength in _random_expression(names, rng).items():
                heads[number] += strength * self.units[name]
        return heads

    def layers(
        self, head: np.ndarray, camera_from_head: np.ndarray, rng: np.random.Generator
    ) -> list[Layer]:
        """Dress a head at random and place it before the camera."""
        outfit = [self._pick("eyes/high-poly", "*_eye.webp", rng)]
        outfit.append((self.parts["teeth/teeth_base"], "teeth.webp"))
        brow = rng.integers(1, 13)
        outfit.append((self.parts[f"eyebrows/eyebrow{brow:03d}"], f"eyebrow{brow:03d}.webp"))
        lash = rng.integers(1, 5)
        outfit.append((self.parts[f"eyelashes/eyelashes{lash:02d}"], f"eyelashes{lash:02d}.webp"))
        if rng.random() < 0.7:
            style = STYLES[rng.integers(len(STYLES))]
            outfit.append((self.parts[f"hair/{style}"], f"hair_{style}.webp"))
        skin = self.picture(self.skins[rng.integers(len(self.skins))])
        faces, corners_uv, uv = self.skin
        layers = [_layer(head, faces, corners_uv, uv, camera_from_head, skin, 0.0)]
        for part, texture in outfit:
            layers.append(
                _layer(
                    part.place(head),
                    part.triangles,
                    part.corners_uv,
                    part.uv,
                    camera_from_head,
                    self.picture(texture),
                    CUTOFF[part.name.split("/")[0]],
                )
            )
        return layers

    def _pick(self, part: str, pattern: str, rng: np.random.Generator) -> tuple[Part, str]:
        textures = sorted(path.name for path in self._textures.glob(pattern))
        return self.parts[part], textures[rng.integers(len(textures))]

    def picture(self, name: str) -> np.ndarray:
        """Read a texture once: (H, W, 3 or 4) uint8, at most 1024 wide."""
        if name not in self._pictures:
            with Image.open(self._textures / name) as opened:
                opened.thumbnail((1024, 1024))
                mode = "RGBA" if "A" in opened.getbands() else "RGB"
                self._pictures[name] = np.asarray(opened.convert(mode)).copy()
        return self._pictures[name]


def _part(arrays: dict[str, np.ndarray], name: str) -> Part:
    key = f"part:{name}:"
    return Part(
        name=name,
        refs=arrays[key + "ref"],
        weights=arrays[key + "w"].astype(np.float64),
        offsets=arrays[key + "off"].astype(np.float64),
        scale=arrays[key + "scale"].astype(np.float64),
        triangles=arrays[key + "f"],
        corners_uv=arrays[key + "ft"],
        uv=arrays[key + "vt"],
    )


def _face_units(select: sparse.csr_matrix) -> dict[str, np.ndarray]:
    units = {}
    for path in face_unit_files():
        ids, offsets = read_target(path)
        dense = np.zeros((select.shape[1], 3))
        dense[ids] = offsets
        units[target_name(path)] = select @ dense
    return units


def _random_expression(names: list[str], rng: np.random.Generator) -> dict[str, float]:
    """Draw a mild expression: half of the faces are neutral."""
    if rng.random() < 0.5:
        return {}
    chosen = {name: rng.uniform(0, 0.25) for name in rng.choice(names, 5, replace=False)}
    for pair, share, top in (("mouthSmile", 0.4, 0.6), ("eyeBlink", 0.2, 0.4)):
        if rng.random() < share:
            strength = rng.uniform(0, top)
            chosen.update({f"{pair}Left": strength, f"{pair}Right": strength})
    chosen["jawOpen"] = rng.uniform(0, 0.4) if rng.random() < 0.5 else 0.0
    chosen.pop("mouthClose", None)
    chosen.pop("tongueOut", None)
    return chosen


def _layer(
    points: np.ndarray,
    triangles: np.ndarray,
    corners_uv: np.ndarray,
    uv: np.ndarray,
    camera_from_head: np.ndarray,
    picture: np.ndarray,
    cutoff: float,
) -> Layer:
    """Split vertices where the texture map is cut and place them before the camera."""
    placed = points @ camera_from_head[:3, :3].T + camera_from_head[:3, 3]
    normals = vertex_normals(placed, triangles)
    pairs = np.stack([triangles.ravel(), corners_uv.ravel()], axis=1)
    split, joined = np.unique(pairs, axis=0, return_inverse=True)
    return Layer(
        vertices=placed[split[:, 0]],
        triangles=joined.reshape(-1, 3),
        normals=normals[split[:, 0]],
        uv=uv[split[:, 1]] * [1, -1] + [0, 1],
        picture=picture,
        cutoff=cutoff,
    )
