"""Clothes: patterns, necklines, and what they cover."""

from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.clothes import _KINDS, ClothesSpec, cloth, sample_clothes
from training.synthetic.scene import Label

PLAIN = ClothesSpec("crew", 0.0, 5.0, ((200, 20, 20), (20, 20, 200)), "plain", 3)


def test_every_kind_and_pattern_is_drawn():
    rng = np.random.default_rng(0)
    specs = [sample_clothes(rng) for _ in range(300)]
    assert {spec.kind for spec in specs} == set(_KINDS)
    assert {spec.pattern for spec in specs} == {"plain", "stripes", "checks", "print", "jacket"}
    collars = [spec.collar.kind if spec.collar else "none" for spec in specs]
    assert set(collars) == {"none", "shirt", "roll", "scarf"}
    assert 0.4 < collars.count("none") / len(collars) < 0.7
    assert all(0 <= v <= 255 for spec in specs for colour in spec.colours for v in colour)


@pytest.mark.parametrize("kind", _KINDS)
def test_the_top_is_cut_out(kind):
    picture = cloth(replace(PLAIN, kind=kind))
    assert picture.shape == (128, 256, 4) and picture.dtype == np.uint8
    rows = (picture[..., 3] > 127).argmax(axis=0)
    assert (picture[-1, :, 3] == 255).all()
    if kind != "high":
        assert rows.max() > 0
    for column in (0, 64, 128):
        assert (np.diff((picture[:, column, 3] > 127).astype(int)) >= 0).all()


def test_a_v_is_deeper_in_front():
    rows = (cloth(replace(PLAIN, kind="v"))[..., 3] > 127).argmax(axis=0)
    assert rows[128] > rows[64] + 20


def test_patterns_mix_both_colours():
    plain, stripes = (cloth(replace(PLAIN, pattern=p)).astype(int) for p in ("plain", "stripes"))
    body = slice(60, None)
    assert (plain[body, :, 0] > plain[body, :, 2]).all()
    blue = (stripes[body, :, 2] > stripes[body, :, 0]).mean(axis=1)
    assert 0.2 < blue.mean() < 0.8 and set(np.round(blue)) == {0.0, 1.0}


def test_cloth_lies_outside_the_skin(people):
    thin, thick = (
        people._tailor.dress(people._rest, replace(PLAIN, thickness_mm=t), cloth(PLAIN))[0]
        for t in (3.0, 9.0)
    )
    assert (thin.labels == Label.BODY).all() and np.isnan(thin.canonical_mm).all()
    upper = len(people._tailor._rows)
    moved = np.linalg.norm((thick.vertices_mm - thin.vertices_mm)[:upper], axis=1)
    np.testing.assert_allclose(moved, 6.0, atol=0.1)
    shoulder = (thin.vertices_mm[:upper, 2] > -60) & (np.abs(thin.vertices_mm[:upper, 0]) > 100)
    away = (thick.vertices_mm - thin.vertices_mm)[:upper][shoulder]
    assert (away[:, 1] < 0).mean() > 0.5  # shoulders look up


def test_the_hem_hangs_below_the_picture(people):
    (surface,) = people._tailor.dress(people._rest, PLAIN, cloth(PLAIN))
    assert surface.vertices_mm[:, 1].max() > people._rest[:, 1].max() + 300


def test_covered_skin_is_below_the_neckline(people):
    covered = people._tailor.covered(PLAIN)
    height = people._rest @ np.array([0, 1, 0.35])
    assert covered.any() and height[covered].min() > 165
    deep = people._tailor.covered(replace(PLAIN, depth_mm=25.0))
    assert deep.sum() < covered.sum() and not (deep & ~covered).any()


def test_a_jacket_is_open_over_the_shirt():
    picture = cloth(replace(PLAIN, kind="high", pattern="jacket")).astype(int)
    red = picture[..., 0] > picture[..., 2]
    assert red[20, 128] and not red[20, 60] and not red[20, 200]
    assert red[10].sum() > red[70].sum()  # lapels meet


def test_clothes_come_with_their_collar(people):
    rng = np.random.default_rng(3)
    spec = next(s for s in iter(lambda: sample_clothes(rng), None) if s.collar is not None)
    surfaces = people._tailor.dress(people._rest, spec, cloth(spec))
    assert [surface.name for surface in surfaces][:2] == ["clothes", "collar"]
