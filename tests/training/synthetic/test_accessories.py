"""What synthetic people wear and hold."""

from dataclasses import replace

import numpy as np
import pytest

from stream.head_model import load_head_model
from training.synthetic.accessories import (
    AccessorySpec,
    accessories,
    sample_accessories,
    tucked,
)
from training.synthetic.accessories.beards import lips_distance
from training.synthetic.accessories.fitting import front_depths, in_front_of
from training.synthetic.accessories.spec import BEARDS, FRAMES, HANDHELD, HATS
from training.synthetic.scene import Label, Surface

MODEL = load_head_model()
HAIR = (70, 45, 30)
SPECS = (
    [AccessorySpec(glasses=kind, seed=3) for kind in FRAMES]
    + [AccessorySpec(glasses="aviator", sunglasses=True, seed=4)]
    + [AccessorySpec(hat=kind, seed=5) for kind in HATS]
    + [AccessorySpec(headphones=True, seed=6)]
    + [AccessorySpec(beard=kind, seed=7) for kind in BEARDS]
    + [AccessorySpec(handheld=kind, seed=8) for kind in HANDHELD]
)


def _name(spec: AccessorySpec) -> str:
    words = (spec.glasses, spec.hat, spec.beard, spec.handheld, spec.headphones and "headphones")
    return "-".join(word for word in words if word) + ("-dark" if spec.sunglasses else "")


def _head(seed: int, open_mouth: float = 0.0) -> np.ndarray:
    identity = np.random.default_rng(seed).normal(0, 0.8, 80).astype(np.float32)
    expression = np.zeros(52, np.float32)
    expression[MODEL.expression_names.index("jawOpen")] = open_mouth
    return MODEL.shape(identity, expression)


def _points(head_mm: np.ndarray) -> np.ndarray:
    corners = head_mm[MODEL.triangles[MODEL.points478_triangle]]
    return (corners * MODEL.points478_bary[..., None]).sum(axis=1)


def _named(surfaces: list[Surface], name: str) -> Surface:
    return next(surface for surface in surfaces if surface.name == name)


@pytest.mark.parametrize("spec", SPECS, ids=_name)
def test_surfaces_are_well_formed(spec):
    surfaces = accessories(spec, _head(1), HAIR)
    assert surfaces
    for surface in surfaces:
        count = len(surface.vertices_mm)
        assert surface.vertices_mm.shape == (count, 3) and surface.vertices_mm.dtype == np.float32
        assert np.isfinite(surface.vertices_mm).all()
        assert surface.triangles.dtype == np.int32 and surface.triangles.shape[1] == 3
        assert surface.triangles.min() >= 0 and surface.triangles.max() < count
        assert surface.uv.shape == (count, 2) and surface.uv.dtype == np.float32
        assert surface.uv.min() >= 0 and surface.uv.max() <= 1
        assert surface.texture.dtype == np.uint8 and surface.texture.shape[2] == 4
        assert max(surface.texture.shape) <= 256
        assert surface.labels.shape == (count,) and surface.labels.dtype == np.uint8
        assert surface.smooth_ids.shape == (count,) and surface.smooth_ids.dtype == np.int32
        assert surface.canonical_mm.shape == (count, 3)
        assert surface.canonical_mm.dtype == np.float32
        assert surface.head_uv.shape == (count, 2) and surface.head_uv.dtype == np.float32


@pytest.mark.parametrize("spec", SPECS, ids=_name)
def test_labels_and_counterparts(spec):
    for surface in accessories(spec, _head(2), HAIR):
        if surface.name == "beard":
            assert (surface.labels == Label.HAIR).all()
            distance = np.abs(surface.canonical_mm[:, None, :] - MODEL.vertices[None]).sum(axis=2)
            nearest = distance.argmin(axis=1)
            assert distance.min(axis=1).max() == 0
            np.testing.assert_array_equal(surface.head_uv, MODEL.uv[nearest])
            assert surface.material.soft and surface.material.cutoff == 0.45
            continue
        assert np.isnan(surface.canonical_mm).all() and np.isnan(surface.head_uv).all()
        clear = surface.name == "lenses" and not spec.sunglasses
        assert (surface.labels == (Label.FACE if clear else Label.OCCLUDER)).all()
        assert surface.material.lens == (surface.name == "lenses")


@pytest.mark.parametrize("spec", SPECS, ids=_name)
def test_one_specification_gives_one_mesh(spec):
    head = _head(3)
    for first, second in zip(
        accessories(spec, head, HAIR), accessories(spec, head.copy(), HAIR), strict=True
    ):
        np.testing.assert_array_equal(first.vertices_mm, second.vertices_mm)
        np.testing.assert_array_equal(first.texture, second.texture)
        np.testing.assert_array_equal(first.triangles, second.triangles)


@pytest.mark.parametrize("spec", SPECS[6:10], ids=_name)
def test_other_seeds_look_different(spec):
    first = accessories(spec, _head(3), HAIR)[0]
    second = accessories(replace(spec, seed=99), _head(3), HAIR)[0]
    same_shape = first.vertices_mm.shape == second.vertices_mm.shape
    assert not same_shape or np.abs(first.vertices_mm - second.vertices_mm).max() > 0.5


def test_nothing_worn_gives_nothing():
    assert accessories(AccessorySpec(), _head(0), HAIR) == []


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_glasses_sit_on_the_nose_and_over_the_ears(kind, seed):
    head = _head(seed)
    surfaces = accessories(AccessorySpec(glasses=kind, seed=seed), head, HAIR)
    frame = _named(surfaces, "glasses").vertices_mm
    bridge = _points(head)[6]
    assert np.linalg.norm(frame - bridge, axis=1).min() < 15
    for side in (-1, 1):
        ear = head[(MODEL.labels == 3) & (side * MODEL.vertices[:, 0] > 0)]
        top = ear[ear[:, 1].argmin()]
        arm = frame[side * frame[:, 0] > 60]
        assert np.linalg.norm(arm - top, axis=1).min() < 14
        assert arm[:, 2].max() > top[2]  # it hooks behind the ear


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_lenses_stay_clear_of_the_eyes(kind, seed):
    head = _head(seed)
    lenses = _named(accessories(AccessorySpec(glasses=kind, seed=seed), head, HAIR), "lenses")
    behind = in_front_of(front_depths(head), lenses.vertices_mm)
    assert np.quantile(lenses.vertices_mm[:, 2] - behind, 0.97) < 1.0
    iris = _points(head)[[468, 473]]
    for point in iris:
        assert np.linalg.norm(lenses.vertices_mm[:, :2] - point[:2], axis=1).min() < 10


@pytest.mark.parametrize("kind", HATS)
def test_cloth_looks_outwards(kind):
    hat = accessories(AccessorySpec(hat=kind, seed=1), _head(0), HAIR)[0]
    corners = hat.vertices_mm[hat.triangles] - hat.vertices_mm.mean(axis=0)
    assert (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum() > 0


def test_lenses_look_forwards():
    lenses = _named(accessories(AccessorySpec(glasses="thick"), _head(0), HAIR), "lenses")
    corners = lenses.vertices_mm[lenses.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert normal[:, 2].max() < 1e-3


def test_lenses_are_thin_or_dark():
    for dark, low, high in ((False, 0.04, 0.16), (True, 0.84, 0.98)):
        for seed in range(8):
            spec = AccessorySpec(glasses="round", sunglasses=dark, seed=seed)
            texture = _named(accessories(spec, _head(0), HAIR), "lenses").texture
            alpha = texture[..., 3] / 255
            assert low <= alpha.min() and alpha.max() <= high


@pytest.mark.parametrize("seed", range(4))
def test_headphones_cover_the_ears_and_span_the_crown(seed):
    head = _head(seed)
    vertices = accessories(AccessorySpec(headphones=True, seed=seed), head, HAIR)[0].vertices_mm
    for side in (-1, 1):
        ear = head[(MODEL.labels == 3) & (side * MODEL.vertices[:, 0] > 0)]
        near = vertices[(side * vertices[:, 0] > 60) & (vertices[:, 1] > 45)]
        assert np.linalg.norm(near.mean(axis=0)[1:] - ear.mean(axis=0)[1:]) < 15
        assert side * near.mean(axis=0)[0] > 65
        assert (side * near[:, 0]).max() > (side * ear[:, 0]).max()
    assert vertices[:, 1].min() < head[:, 1].min() - 5


@pytest.mark.parametrize("kind", HATS)
@pytest.mark.parametrize("seed", range(3))
def test_no_scalp_is_outside_the_hat(kind, seed):
    head = _head(seed)
    scalp = (MODEL.scalp_weight > 0.5) & (head[:, 1] < -5)
    hat = _named(accessories(AccessorySpec(hat=kind, seed=seed), head, HAIR), "hat")
    corners = hat.vertices_mm[hat.triangles].astype(np.float64)
    for vertex in head[scalp]:
        assert _hits(np.array([0.0, 25.0, 10.0]), vertex.astype(np.float64), corners)


def _hits(origin: np.ndarray, point: np.ndarray, corners: np.ndarray) -> bool:
    """Tell whether the ray from origin through a point meets a triangle beyond the point."""
    ray = point - origin
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = np.cross(ray, second)
    det = (first * p).sum(axis=1)
    det = np.where(np.abs(det) < 1e-12, np.nan, det)
    u = ((origin - corners[:, 0]) * p).sum(axis=1) / det
    q = np.cross(origin - corners[:, 0], first)
    v, far = q @ ray / det, (second * q).sum(axis=1) / det
    return bool(((u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6) & (far > 1.0)).any())


@pytest.mark.parametrize("kind", HATS)
def test_a_hat_leaves_the_face_free(kind):
    head = _head(2)
    hat = _named(accessories(AccessorySpec(hat=kind, seed=2), head, HAIR), "hat").vertices_mm
    points = _points(head)
    face = points[[33, 263, 1, 61, 291]]  # corners of eyes and mouth, tip of the nose
    before = hat[hat[:, 2] < -40]
    for point in face:
        assert np.linalg.norm(before[:, :2] - point[:2], axis=1).min() > 8


def test_hair_is_tucked_under_a_hat():
    head = _head(1)
    spec = AccessorySpec(hat="beanie", seed=1)
    origin = np.array([0.0, 25.0, 10.0])
    crown = MODEL.vertices[:, 1] < -30
    wild = accessories(AccessorySpec(beard="full"), head, HAIR)[0]
    hair = replace(wild, vertices_mm=(origin + (head[crown] - origin) * 1.6).astype(np.float32))
    pressed = tucked(spec, hair, head).vertices_mm
    hat = accessories(spec, head, HAIR)[0]
    corners = hat.vertices_mm[hat.triangles].astype(np.float64)
    assert all(_hits(origin, vertex.astype(np.float64), corners) for vertex in pressed)
    assert tucked(AccessorySpec(), hair, head) is hair


@pytest.mark.parametrize("kind", BEARDS)
@pytest.mark.parametrize("open_mouth", [0.0, 0.7])
def test_a_beard_leaves_the_lips_free(kind, open_mouth):
    head = _head(5, open_mouth)
    for shell in accessories(AccessorySpec(beard=kind, seed=5), head, HAIR):
        inside = (lips_distance(shell.canonical_mm) < 0.0) & (shell.canonical_mm[:, 2] < -70)
        assert not inside.any()
        near = lips_distance(shell.canonical_mm) < 1.0
        near &= shell.canonical_mm[:, 2] < -70
        assert _alpha_at(shell, shell.uv[near]).max(initial=0) < 100


def _alpha_at(shell: Surface, uv: np.ndarray) -> np.ndarray:
    row, column = (uv[:, ::-1] * 255.99).astype(int).T
    return shell.texture[row, column, 3]


@pytest.mark.parametrize("kind", BEARDS)
def test_a_beard_has_soft_rough_edges_and_stays_near_the_skin(kind):
    head = _head(6)
    shells = accessories(AccessorySpec(beard=kind, seed=11), head, HAIR)
    assert 3 <= len(shells) <= 5
    alpha = shells[0].texture[..., 3]
    between = ((alpha > 10) & (alpha < 200)).mean()
    assert between > 0.05 and (alpha > 200).mean() > 0.05
    assert (shells[-1].texture[..., 3] > 200).sum() < (alpha > 200).sum()
    for shell in shells:
        away = np.linalg.norm(
            shell.vertices_mm[:, None] - head[None, MODEL.labels != 5], axis=2
        ).min(axis=1)
        assert away.max() < 25


@pytest.mark.parametrize("kind", HANDHELD)
@pytest.mark.parametrize("seed", range(6))
def test_what_is_held_is_before_the_face(kind, seed):
    head = _head(seed)
    surfaces = accessories(AccessorySpec(handheld=kind, seed=seed), head, HAIR)
    vertices = _named(surfaces, kind).vertices_mm
    behind = in_front_of(front_depths(head), vertices)
    assert (vertices[:, 2] < behind + 12).all()  # a hand is soft, it may press a little
    over_face = behind < 20
    gap = (behind - vertices[:, 2])[over_face]
    assert over_face.any() and gap.min() < 80
    if kind != "hand":
        return
    assert vertices[:, 1].max() - vertices[:, 1].min() > 120  # the forearm leaves downwards


def test_the_hand_has_the_tone_that_is_asked_for():
    spec = AccessorySpec(handheld="hand", seed=2, skin_rgb=(100, 60, 40))
    texture = accessories(spec, _head(0), HAIR)[0].texture
    assert np.abs(np.median(texture[..., :3].reshape(-1, 3), axis=0) - (100, 60, 40)).max() < 12


def test_frequencies():
    rng = np.random.default_rng(0)
    drawn = [sample_accessories(rng, male=i % 2, age=0.5) for i in range(4000)]
    share = {
        "glasses": np.mean([s.glasses is not None for s in drawn]),
        "dark": np.mean([s.sunglasses for s in drawn if s.glasses]),
        "hat": np.mean([s.hat is not None for s in drawn]),
        "headphones": np.mean([s.headphones for s in drawn]),
        "beard": np.mean([s.beard is not None for s in drawn[1::2]]),
        "handheld": np.mean([s.handheld is not None for s in drawn]),
    }
    wanted = (0.22, 0.15, 0.08, 0.07, 0.35, 0.10)
    for (name, got), want in zip(share.items(), wanted, strict=True):
        assert abs(got - want) < 4.5 * np.sqrt(want * (1 - want) / 2000) + 0.005, name
    assert not any(s.beard for s in drawn[0::2])
    for kinds, field in (
        (FRAMES, "glasses"),
        (HATS, "hat"),
        (BEARDS, "beard"),
        (HANDHELD, "handheld"),
    ):
        assert {getattr(s, field) for s in drawn} == {*kinds, None}
    assert not any(s.hat and s.headphones for s in drawn)
