"""People who do not exist: shapes, skins, hair and clothes, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import transform_points
from stream.head_model import load_head_model
from training.head_model.basis import SIZE_SPREAD, alignment_weights, rigid
from training.head_model.dress import Wardrobe
from training.head_model.people import sample_people
from training.head_model.source import read_base_mesh
from training.head_model.topology import build_topology
from training.makehuman import follow_weight
from training.synthetic.accessories import accessories, sample_accessories, tucked
from training.synthetic.children import Children, child_age, looks_age, sex_and_age
from training.synthetic.clothes import Tailor, cloth, sample_clothes
from training.synthetic.hair import (
    STYLES,
    HairDresser,
    beard_rgb,
    brow_rgb,
    recoloured,
    sample_hair,
)
from training.synthetic.meshes import (
    Mesh,
    counterparts,
    nothing,
    part_mesh,
    small_texture,
    split,
)
from training.synthetic.person import PersonSpec, facts_of
from training.synthetic.register import IctPeople
from training.synthetic.scene import Label, Material, Portrait, Surface
from training.synthetic.skins import SkinPainter, sample_skin, thinned, tone_rgb
from training.synthetic.unit_fit import UnitFit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HELD = ("hand", "microphone", "cup")  # names of surfaces that no head carries
_ICT_SHARE = 0.3  # of people whose shape comes from scans
_RIDGE = 1.0  # of the coefficients' least squares; the basis is in standard deviations
_FOLLOW_ORIGIN_MM = np.array([0.0, 44.0, 6.0], np.float32)  # follow_weight counts from the ears
_REGIONS = (Label.FACE, Label.FACE, Label.EAR, Label.NECK, Label.MOUTH, Label.EYES)  # of the model
_SKIN = Material(gloss=0.14, shininess=16.0, scatter=1.0)
_KINDS = {  # name, label, material and head model regions of what parts correspond to
    "eyes": ("eyes", Label.EYES, Material(gloss=0.35, shininess=140.0, cutoff=0.4), (6,)),
    "eyebrows": ("brows", Label.FACE, Material(gloss=0.02, cutoff=0.35, soft=True), (1,)),
    "eyelashes": ("lashes", Label.FACE, Material(gloss=0.0, cutoff=0.35, soft=True), ()),
    "teeth": ("teeth", Label.MOUTH, Material(gloss=0.35, shininess=60.0), (5,)),
    "tongue": ("tongue", Label.MOUTH, Material(gloss=0.3, shininess=40.0, scatter=1.0), (5,)),
    "hair": ("hair", Label.HAIR, Material(gloss=0.13, shininess=26.0, cutoff=0.45, soft=True), ()),
}
_EYES = "eyes/high-poly"
_DULL = ("afro01",)  # its curls throw light everywhere, its large sheets would shine


@dataclass(frozen=True, slots=True)
class _Shape:
    """A person's head at rest: source millimetres, and how they lie in head space."""

    head: np.ndarray  # (N, 3)
    scale: float
    rotation: np.ndarray
    shift: np.ndarray
    identity: np.ndarray


class People:
    """Draws people and poses them.

    Args:
        data_dir: the data folder, with `makehuman` and `ict`.
        texture_size: side of the skin texture; hair has the same at most.
    """

    def __init__(self, data_dir: Path, texture_size: int = 512) -> None:
        self._size = texture_size
        base = read_base_mesh()
        topology = build_topology(base)
        self._wardrobe = Wardrobe(data_dir / "makehuman", base)
        self._base = self._wardrobe.base.astype(np.float32)
        self._to_model = topology.operator[:, self._wardrobe.ids].tocsr().astype(np.float32)
        self._ict = IctPeople(data_dir)
        self._children = Children(self._wardrobe.targets, self._wardrobe.select)
        self._model = load_head_model()
        self._steady = alignment_weights(topology, topology.operator @ base.vertices)
        units = self._wardrobe.units
        self._units = np.stack([units[name] for name in self._model.expression_names])
        self._units = self._units.astype(np.float32)
        self._scale = self._model_scale()
        flat = self._model.identity_basis.reshape(len(self._model.identity_basis), -1)
        self._projector = np.linalg.solve(flat @ flat.T + _RIDGE * np.eye(len(flat)), flat)
        self._refit = UnitFit(self._model)
        self._rest = self._posed(self._fitted(self._base, 1.0), self._base)
        self._labels, self._skin_mesh = self._skin(topology.base_ids)
        self._tailor = Tailor(self._wardrobe.skin[0], self._rest)
        scalp = self._scalp(topology.base_ids)[self._skin_mesh.rows]
        places = self._rest[self._skin_mesh.rows]
        self._painter = SkinPainter(self._skin_mesh, places, scalp, self._model, texture_size)
        hairy = np.where(scalp > 0.25, np.uint8(Label.HAIR), self._skin_mesh.labels)
        self._shaved_mesh = replace(self._skin_mesh, labels=hairy)
        self._meshes: dict[str, Mesh] = {}
        self._dressers: dict[str, HairDresser] = {}
        self._last: tuple[int, _Shape] | None = None
        self._uncovered: tuple[PersonSpec, Mesh] | None = None
        self._painted: tuple[PersonSpec, dict[str, np.ndarray]] | None = None

    # --- set-up -----------------------------------------------------------------------------

    def _model_scale(self) -> float:
        """Millimetres of the head model per millimetre of the source."""
        own = np.stack([self._to_model @ unit for unit in self._units])
        model = self._model.expression_basis
        return float((own * model).sum() / (own * own).sum())

    def _skin(self, base_ids: np.ndarray) -> tuple[np.ndarray, Mesh]:
        """Label the source's vertices and find their counterparts on the head model."""
        count = len(self._base)
        known, rows = self._shared(base_ids)
        canonical, head_uv = nothing(count)
        canonical[rows], head_uv[rows] = self._model.vertices[known], self._model.uv[known]
        below = self._rest @ np.array([0.0, 1.0, 0.35]) > 215.0
        labels = np.where(below, Label.BODY, Label.NECK).astype(np.uint8)
        labels[rows] = np.array(_REGIONS, np.uint8)[self._model.labels[known] - 1]
        faces, corners_uv, uv = self._wardrobe.skin
        return labels, split(faces, corners_uv, uv, labels, (canonical, head_uv))

    def _shared(self, base_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices of the head model, and those of the source that they are."""
        number = {int(vertex): row for row, vertex in enumerate(self._wardrobe.ids)}
        known = np.flatnonzero(base_ids >= 0)
        return known, np.array([number[int(base_ids[vertex])] for vertex in known])

    def _scalp(self, base_ids: np.ndarray) -> np.ndarray:
        known, rows = self._shared(base_ids)
        weight = np.zeros(len(self._base), np.float32)
        weight[rows] = self._model.scalp_weight[known]
        return weight

    def _mesh(self, name: str) -> Mesh:
        if name not in self._meshes:
            part = self._wardrobe.parts[name]
            _, label, _, kinds = _KINDS[name.split("/", maxsplit=1)[0]]
            placed = self._posed(self._fitted(self._base, 1.0), part.place(self._base))
            found = counterparts(self._model, placed, kinds) if kinds else nothing(len(placed))
            self._meshes[name] = part_mesh(part, label, found)
        return self._meshes[name]

    def _dresser(self, name: str) -> HairDresser:
        if name not in self._dressers:
            part = self._wardrobe.parts[name]
            placed = self._posed(self._fitted(self._base, 1.0), part.place(self._base))
            uv = np.zeros((len(placed), 2))
            uv[part.triangles.ravel()] = part.uv[part.corners_uv.ravel()]
            self._dressers[name] = HairDresser(placed, self._rest, uv, part.triangles)
        return self._dressers[name]

    # --- drawing ----------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator, held_out: bool = False) -> PersonSpec:
        """Draw a person.

        Args:
            rng: source of chance.
            held_out: draw skin and hair from those that training never sees.
        """
        seed = int(rng.integers(1 << 31))
        source = "ict" if rng.random() < _ICT_SHARE else "makehuman"
        male, age = sex_and_age(source, seed)
        skin = sample_skin(rng, self._wardrobe.skins_of(held_out), male, age)
        pick = self._wardrobe.names
        return PersonSpec(
            seed=seed,
            source=source,
            male=male,
            age=age,
            skin=skin,
            hair=sample_hair(rng, male, age, skin.lightness < 48, held_out),
            clothes=sample_clothes(rng),
            accessories=sample_accessories(rng, male=male, age=looks_age(age)),
            eyes=_any(rng, pick("*_eye.webp"), darker="dark" in skin.file),
            brows=f"eyebrow{rng.integers(1, 13):03d}",
            lashes=f"eyelashes{rng.integers(1, 5):02d}",
            teeth=str(rng.choice(["teeth_base", *(f"teeth_shape{i:02d}" for i in range(1, 6))])),
        )

    def portrait(
        self,
        spec: PersonSpec,
        expression: Mapping[str, float],
        body_turn: np.ndarray,
        held: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Portrait:
        """Give a person an expression and a body that looks elsewhere than the head.

        Args:
            spec: who.
            expression: strengths of face units by name; people of ICT's shapes move by ICT's
                units, and the portrait tells what the head model's come nearest.
            body_turn: (3,) axis-angle, radians, by which the shoulders are turned against the
                head about the neck joint; head space.
            held: of hands and what they hold, where these stay while the head turns: the
                (3,) turn of the body and (4, 4) this pose of the head from the one in which
                they were placed. With the head unless given.
        """
        shape = self._shape(spec)
        weights = np.array([expression.get(n, 0.0) for n in self._model.expression_names])
        weights = weights.astype(np.float32)
        scanned = spec.source == "ict"
        moved = _mixed(weights, self._ict.units if scanned else self._units)
        head = shape.head + moved
        if scanned:  # ICT's units are no part of the head model
            offsets = (self._to_model @ moved) * shape.scale @ shape.rotation.T
            weights = self._refit(offsets, weights)
        skin_mm = self._posed(shape, head)
        surfaces = [self._bare(spec).surface("skin", skin_mm, self._paint(spec)["skin"], _SKIN)]
        surfaces += [self._part(name, spec, shape, head) for name in self._outfit(spec)]
        surfaces += self._tailor.dress(skin_mm, spec.clothes, self._paint(spec)["clothes"])
        model_mm = self._posed(shape, self._to_model @ head)
        red, green, blue = (tone_rgb(spec.skin) * 255).astype(int).tolist()
        worn = replace(
            spec.accessories, skin_rgb=(red, green, blue), cloth_rgb=spec.clothes.colours[0]
        )
        hair = self._hair(spec, shape, head, skin_mm)
        surfaces += [tucked(worn, surface, model_mm) for surface in hair]
        surfaces += accessories(worn, model_mm, beard_rgb(spec.hair))
        turned, model_mm = self._turned(surfaces, model_mm, body_turn, held)
        return Portrait(
            surfaces=turned,
            model_vertices_mm=model_mm,
            identity=shape.identity,
            expression=weights,
            facts=facts_of(spec),
        )

    def _shape(self, spec: PersonSpec) -> _Shape:
        if self._last is None or self._last[0] != spec.seed:
            rng = np.random.default_rng(spec.seed)
            if spec.source == "ict":
                offsets = self._ict.sample(rng)
            else:
                offsets = sample_people(self._wardrobe.targets, 1, rng)[0]
                age = child_age(spec.seed)
                if age is not None:
                    offsets = offsets + self._children.change(spec.seed, age)
            size = 1 + SIZE_SPREAD * float(np.clip(rng.normal(), -2.5, 2.5))
            self._last = spec.seed, self._fitted(self._base + offsets, size)
        return self._last[1]

    def _fitted(self, head: np.ndarray, size: float) -> _Shape:
        """Lay a head on the head model's mean and find its coefficients."""
        scale = self._scale * size
        own = (self._to_model @ head) * scale
        rotation, shift = rigid(own, self._model.vertices, self._steady)
        offsets = (own @ rotation.T + shift - self._model.vertices).ravel()
        # Not by BLAS: for this little it would start threads, which costs more than it saves.
        identity = np.einsum("kn,n->k", self._projector, offsets).astype(np.float32)
        return _Shape(head.astype(np.float32), scale, rotation, shift, identity)

    def _posed(self, shape: _Shape, points: np.ndarray) -> np.ndarray:
        """Carry points of the source to head space."""
        return ((points * shape.scale) @ shape.rotation.T + shape.shift).astype(np.float32)

    def _bare(self, spec: PersonSpec) -> Mesh:
        """Leave out the skin under the clothes, which would show through their folds."""
        if self._uncovered is None or self._uncovered[0] is not spec:
            mesh = self._shaved_mesh if spec.hair.style == "shaved" else self._skin_mesh
            hidden = self._tailor.covered(spec.clothes)[mesh.rows]
            seen = ~hidden[mesh.triangles].all(axis=1)
            self._uncovered = spec, replace(mesh, triangles=mesh.triangles[seen])
        return self._uncovered[1]

    def _outfit(self, spec: PersonSpec) -> list[str]:
        return [
            _EYES,
            f"teeth/{spec.teeth}",
            "tongue/tongue01",
            f"eyebrows/{spec.brows}",
            f"eyelashes/{spec.lashes}",
        ]

    def _part(self, name: str, spec: PersonSpec, shape: _Shape, head: np.ndarray) -> Surface:
        placed = self._posed(shape, self._wardrobe.parts[name].place(head))
        kind, _, material, _ = _KINDS[name.split("/", maxsplit=1)[0]]
        return self._mesh(name).surface(kind, placed, self._paint(spec)[kind], material)

    def _hair(
        self, spec: PersonSpec, shape: _Shape, head: np.ndarray, skin_mm: np.ndarray
    ) -> list[Surface]:
        if spec.hair.style not in STYLES:
            return []
        name = f"hair/{spec.hair.style}"
        placed = self._posed(shape, self._wardrobe.parts[name].place(head))
        pressed = spec.accessories.headphones
        shaped = self._dresser(name).shape(placed, skin_mm, spec.hair, pressed)
        texture = self._paint(spec)["hair"]
        material = _KINDS["hair"][2]
        if spec.hair.style in _DULL:
            material = replace(material, gloss=0.03)
        mesh = self._mesh(name)
        if spec.hair.front > 0:
            kept = self._dresser(name).worn(mesh.rows[mesh.triangles], spec.hair)
            mesh = replace(mesh, triangles=mesh.triangles[kept])
        return [mesh.surface("hair", shaped, texture, material)]

    # --- textures ---------------------------------------------------------------------------

    def _paint(self, spec: PersonSpec) -> dict[str, np.ndarray]:
        """Paint all textures of a person; those of the last one are kept."""
        if self._painted is None or self._painted[0] is not spec:
            picture = self._wardrobe.picture
            brows = replace(spec.hair, rgb=brow_rgb(spec.hair), density=1.1, roots=0.0)
            shaved = spec.hair.rgb if spec.hair.style == "shaved" else None
            textures = {
                "skin": self._painter.paint(picture(spec.skin.file), spec.skin, shaved),
                "eyes": small_texture(picture(spec.eyes), 256),
                "teeth": small_texture(picture("teeth.webp"), 128),
                "tongue": small_texture(picture("tongue01_diffuse.webp"), 64),
                "brows": recoloured(picture(f"{spec.brows}.webp"), brows, 128),
                "clothes": cloth(spec.clothes),
                "lashes": thinned(small_texture(picture(f"{spec.lashes}.webp"), 128), spec.skin),
            }
            if spec.hair.style in STYLES:
                name = f"hair_{spec.hair.style}.webp"
                textures["hair"] = recoloured(picture(name), spec.hair, self._size)
            self._painted = spec, textures
        return self._painted[1]

    # --- turning ----------------------------------------------------------------------------

    def _turned(
        self,
        surfaces: list[Surface],
        model_mm: np.ndarray,
        body_turn: np.ndarray,
        held: tuple[np.ndarray, np.ndarray] | None,
    ) -> tuple[tuple[Surface, ...], np.ndarray]:
        """Turn the body under all surfaces and the head model; see `portrait`."""
        stay = [held is not None and surface.name in HELD for surface in surfaces]
        places = [s.vertices_mm for s, stays in zip(surfaces, stay, strict=True) if not stays]
        ends = np.cumsum([len(points) for points in places])
        *moved, model = np.split(self._turn(np.concatenate([*places, model_mm]), body_turn), ends)
        rest = iter(moved)
        turned = [
            self._stayed(surface, *held)
            if held is not None and stays
            else replace(surface, vertices_mm=next(rest))
            for surface, stays in zip(surfaces, stay, strict=True)
        ]
        return tuple(turned), model

    def _stayed(self, surface: Surface, axis_angle: np.ndarray, moved: np.ndarray) -> Surface:
        placed = self._turn(surface.vertices_mm, axis_angle)
        return replace(surface, vertices_mm=transform_points(moved, placed))

    def _turn(self, points_mm: np.ndarray, axis_angle: np.ndarray) -> np.ndarray:
        """Turn the body under the head; between them the neck twists smoothly."""
        angle = np.float32(np.linalg.norm(axis_angle))
        if angle < 1e-6:
            return points_mm
        share = 1 - follow_weight(points_mm - _FOLLOW_ORIGIN_MM).astype(np.float32)
        low = np.flatnonzero(share)  # most of what is drawn is head, which stays
        axis = np.asarray(axis_angle, np.float32) / angle
        arm = points_mm[low] - self._model.neck_joint
        part = (angle * share[low])[:, None]
        cosine, sine = np.cos(part), np.sin(part)
        along = np.einsum("nd,d->n", arm, axis)[:, None] * axis
        swung = arm * cosine + np.cross(axis, arm) * sine + along * (1 - cosine)
        turned = points_mm.astype(np.float32)
        turned[low] = swung + self._model.neck_joint
        return turned


def _mixed(weights: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Add up the (52, N, 3) units that are not at rest."""
    used = np.flatnonzero(weights)
    total = np.zeros(units.shape[1:], np.float32)
    for number in used:
        total += weights[number] * units[number]
    return total


def _any(rng: np.random.Generator, names: list[str], darker: bool) -> str:
    """Pick an iris; brown ones are commoner, and much more so with dark skin."""
    weights = np.array([(12.0 if darker else 3.0) if "brown" in name else 1.0 for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]
