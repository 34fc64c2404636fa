"""Taking light off a texture."""

import numpy as np
import pytest

from stream.flatten import vertex_normals
from stream.head_model import load_head_model
from stream.swap.texture_light import (
    broad,
    cast_shadow,
    display_from_linear,
    estimate_light,
    harmonics,
    linear_from_display,
    shading,
    without_broad_error,
    without_creases,
    without_gloss,
    without_shading,
    without_uneven_light,
)
from stream.swap.texture_map import label_map, texel_map

SIZE = 128


def scene(seed=0):
    """Return normals, skin mask and an albedo with a spot, all (128, 128, …)."""
    model, rng = load_head_model(), np.random.default_rng(seed)
    texels = texel_map(model, SIZE)
    normals = texels.painted(vertex_normals(model.vertices, model.triangles))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    skin = ((label_map(model, SIZE) == 1) & (normals[..., 2] < -0.2)).astype(np.float32)
    albedo = np.full((SIZE, SIZE, 3), (0.45, 0.28, 0.2), np.float32)
    albedo *= np.exp(0.05 * rng.normal(size=(SIZE, SIZE, 1))).astype(np.float32)
    return normals, skin, albedo


LIGHT = np.array([[2.2, 0.3, -0.9, 0.8, 0.1, 0, 0.1, 0, 0.1]], np.float32).T * [1.1, 1.0, 0.8]


def rms(values, where):
    logs = np.log(values[where])
    return float(np.sqrt(((logs - logs.mean(axis=0)) ** 2).mean()))


def test_display_and_linear_undo_each_other():
    grey = np.arange(256, dtype=np.float32)
    assert np.allclose(display_from_linear(linear_from_display(grey)), grey, atol=1e-2)


def test_harmonics_are_orthonormal():
    rng = np.random.default_rng(1)
    towards = rng.normal(size=(200_000, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    basis = harmonics(towards).astype(np.float64)
    assert np.allclose(4 * np.pi * basis.T @ basis / len(basis), np.eye(9), atol=0.03)


def test_a_light_is_found_again_in_spite_of_outliers():
    normals, skin, albedo = scene()
    where = skin > 0
    colours = albedo * (harmonics(normals) @ LIGHT)
    spoiled = np.flatnonzero(where.ravel())[::15]
    colours.reshape(-1, 3)[spoiled] = 1.5
    light = estimate_light(colours[where], albedo[where], normals[where], skin[where])
    found, true = shading(light, normals)[where], (harmonics(normals) @ LIGHT)[where]
    assert np.abs(found / true - 1).mean() < 0.08


def test_shading_is_taken_away_but_not_where_the_picture_contradicts_it():
    normals, skin, albedo = scene()
    where = skin > 0
    shade = (harmonics(normals) @ LIGHT).clip(0.3, 4)
    lit = albedo * shade
    plain = without_shading(lit, shade, np.full_like(albedo, 0.3), skin)
    assert rms(plain, where) < 0.35 * rms(lit, where)
    kept = without_shading(albedo, shade, np.full_like(albedo, 0.3), skin)
    divided = albedo / shade
    assert rms(kept, where) < 0.5 * rms(divided, where)


def test_differences_of_the_halves_are_light():
    _, skin, albedo = scene()
    side = np.exp(np.linspace(-0.5, 0.5, SIZE, dtype=np.float32))[None, :, None]
    evened = without_uneven_light(albedo * side, np.maximum(skin, skin[:, ::-1]))
    where = (np.minimum(skin, skin[:, ::-1])) > 0
    assert rms(evened, where) < 0.4 * rms(albedo * side, where)


def test_broad_error_goes_in_part_and_fine_detail_stays():
    _, skin, albedo = scene()
    ramp = np.exp(np.linspace(-0.4, 0.4, SIZE, dtype=np.float32))[:, None, None]
    mole = albedo * ramp
    mole[60:63, 60:63] *= 0.3
    expected = np.full_like(albedo, 0.3)
    half, whole = (without_broad_error(mole, expected, skin, share) for share in (0.5, 1.0))
    where = skin > 0
    assert rms(whole, where) < rms(half, where) < rms(mole, where)
    around = half[56:67, 56:67].mean(axis=(0, 1))
    assert (half[61, 61] < 0.5 * around).all()


def test_gloss_is_damped_and_the_rest_stays():
    _, skin, albedo = scene()
    skin[:] = 1
    glossy = albedo.copy()
    y, x = np.indices((SIZE, SIZE))
    spot = np.exp(-((x - 64) ** 2 + (y - 64) ** 2) / 12.0).astype(np.float32)
    glossy += 0.4 * spot[..., None]
    damped = without_gloss(glossy, np.ones_like(skin), skin)
    before = (glossy - albedo)[62:67, 62:67].mean()
    after = np.abs(damped - albedo)[62:67, 62:67].mean()
    assert after < 0.6 * before
    assert np.abs(damped - albedo)[:20].max() < 0.06
    untouched = without_gloss(glossy, np.ones_like(skin), np.zeros_like(skin))
    assert np.array_equal(untouched, glossy)


def test_broad_continues_into_what_was_not_seen():
    weight = np.zeros((64, 64), np.float32)
    weight[:, :20] = 1
    values = np.full((64, 64, 3), 0.7, np.float32)
    values[:, 20:] = 99.0
    assert broad(values, weight, 4.0) == pytest.approx(0.7, abs=1e-3)


def test_creases_are_raised_where_wanted_and_pores_stay():
    rng = np.random.default_rng(2)
    albedo = np.full((256, 256, 3), 0.3, np.float32)
    albedo *= np.exp(0.08 * rng.normal(size=(256, 256, 1))).astype(np.float32)
    albedo[:, 126:130] *= 0.5
    where = np.zeros((256, 256), np.float32)
    where[:128] = 1
    raised = without_creases(albedo, np.ones_like(where), where)
    assert np.array_equal(raised[128:], albedo[128:])
    assert raised[20:108, 126:130].mean() > 1.3 * albedo[20:108, 126:130].mean()
    plain = slice(20, 108), slice(10, 100)
    assert np.log(raised[plain]).std() > 0.9 * np.log(albedo[plain]).std()


def test_a_wide_dark_place_is_a_shadow_and_a_mole_is_none():
    albedo = np.full((256, 256, 3), 0.4, np.float32)
    albedo[100:140, 150:180] *= 0.4  # beside the nose, on one side
    albedo[60:63, 60:63] *= 0.3  # a mole
    albedo[200:220, 60:90] = albedo[200:220, 166:196] = 0.1  # dark on both sides: a beard
    found = cast_shadow(albedo, np.ones((256, 256), np.float32))
    assert found[120, 165] > 0.9
    assert found[120, 90] < 0.05  # its mirror place
    assert found[61, 61] < 0.05
    assert found[210, 75] < 0.05
    unseen = np.ones((256, 256), np.float32)
    unseen[:, :128] = 0  # where the mirror half is not seen, nothing can be told
    assert cast_shadow(albedo, unseen).max() < 0.05
