import numpy as np
import pytest

from training.synthetic import lighting
from training.synthetic.lighting import LightLibrary, directions_of, harmonics

SMOOTHING = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])  # of the cosine, over π


@pytest.fixture(scope="module")
def library(data_dir):
    return LightLibrary(data_dir)


@pytest.fixture(scope="module")
def drawn(library):
    return [library.sample(np.random.default_rng([1, k])) for k in range(200)]


def sky_light(sky, normals):
    """Light of the sky on a white surface, over π: (..., 3)."""
    return (harmonics(np.asarray(normals, float)) * SMOOTHING) @ sky


def test_harmonics_are_orthonormal():
    towards, angle = directions_of(64, 128)
    basis = harmonics(towards).reshape(-1, 9)
    assert np.allclose(basis.T @ (basis * angle.reshape(-1, 1)), np.eye(9), atol=3e-3)


def test_directions_are_unit_and_cover_the_sphere():
    towards, angle = directions_of(32, 64)
    assert np.allclose(np.linalg.norm(towards, axis=2), 1.0)
    assert angle.sum() == pytest.approx(4 * np.pi)
    assert towards[0, 0, 1] < -0.99  # the top row is up, and y points down
    assert towards[16, 32, 2] > 0.99  # the middle column is behind the head


def test_a_constant_environment_lights_every_side_alike():
    towards, angle = directions_of(64, 128)
    radiance = np.full((64, 128, 3), [0.5, 1.0, 2.0])
    sky = np.einsum("hwk,hwc->kc", harmonics(towards) * angle[..., None], radiance)
    normals = np.random.default_rng(0).normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    assert np.allclose(sky_light(sky, normals), [0.5, 1.0, 2.0], rtol=0.01)


def test_harmonics_light_like_the_map_does(library):
    """Light by harmonics is close to the sum over all texels with the cosine."""
    towards, angle = directions_of(128, 256)
    for environment in library._environments[::4]:
        sky = np.tensordot(
            harmonics(towards) * angle[..., None], environment.radiance, ((0, 1), (0, 1))
        )
        direct, smooth = [], []
        for normal in np.vstack([np.eye(3), -np.eye(3)]):
            cosine = np.maximum(towards @ normal, 0.0) * angle / np.pi
            direct.append(np.tensordot(cosine, environment.radiance, 2))
            smooth.append(sky_light(sky, normal))
        assert np.allclose(smooth, direct, atol=0.12 * np.max(direct))


def test_a_map_is_split_into_glow_and_lamp_without_gaining_light(library):
    _, angle = directions_of(128, 256)
    for environment in library._environments:
        assert np.isfinite(environment.radiance).all()
        assert environment.radiance.min() >= -1e-4
        rest = (environment.radiance.mean(axis=2) * angle).sum() / (4 * np.pi)
        lamp = environment.sun_colour.mean() / 4  # π of its unit over 4π
        assert rest + lamp <= 1.001
        assert rest > 0.05
        assert np.linalg.norm(environment.sun) == pytest.approx(1.0)
        assert environment.sun_colour.max() <= 4.0


def test_a_turn_about_the_vertical_keeps_energy_and_height(library):
    environment = library._environments[0]
    for seed in range(10):
        radiance, sun = lighting._turned(environment, np.random.default_rng(seed))
        sky = library._basis @ radiance.reshape(-1, 3)
        before = library._basis @ environment.radiance.reshape(-1, 3)
        assert np.allclose(sky[:2], before[:2], rtol=1e-3)  # the mean, and up against down
        for rows in (slice(1, 4), slice(4, 9)):  # each band turns within itself
            energy = (sky[rows] ** 2).sum(axis=0), (before[rows] ** 2).sum(axis=0)
            assert np.allclose(*energy, rtol=5e-3)
        assert sun[1] == environment.sun[1]
        assert np.linalg.norm(sun) == pytest.approx(1.0)


def test_the_lamp_turns_with_the_map():
    height, width = 32, 64
    picture = np.full((height, width, 3), 0.1, np.float32)
    picture[8:10, 40:42] = 500.0
    environment = lighting._environment("one lamp", picture)
    towards, _ = directions_of(height, width)
    assert environment.sun @ towards[9, 41] > 0.99
    rng = np.random.default_rng(3)
    columns = int(np.random.default_rng(3).integers(width))
    _, sun = lighting._turned(environment, rng)
    assert sun @ towards[9, (41 + columns) % width] > 0.99


def received(light, normal):
    lamps = np.maximum(light.directions @ normal, 0.0) @ light.colours
    return sky_light(light.sky, normal) + lamps


def test_a_face_to_the_camera_is_lit_by_about_one_and_no_cheek_burns(drawn):
    front = np.array([received(light, lighting._FACE_NORMALS[0]).mean() for light in drawn])
    assert front.max() == pytest.approx(1.0, abs=1e-3)
    assert np.mean(front > 0.6) > 0.8
    cheeks = [received(light, n).mean() for light in drawn for n in lighting._FACE_NORMALS[1:]]
    assert max(cheeks) < lighting._MOST_CHEEK + 1e-3


def test_a_camera_takes_most_of_a_cast_away(library):
    """Lamps by the HDR maps' own light are balanced, with a rest that varies."""
    casts = []
    for seed in range(100):
        light = received(library.sample(np.random.default_rng(seed)), lighting._FACE_NORMALS[0])
        casts.append(np.abs(np.log2(light / light.mean())).max())
    assert np.median(casts) < 0.4
    assert max(casts) < 1.6
    assert np.ptp(casts) > 0.2  # but not all: webcams err


def test_lights_keep_the_promises_of_the_scene(drawn):
    for light in drawn:
        count = len(light.directions)
        assert light.sky.shape == (9, 3)
        assert light.colours.shape == light.directions.shape == (count, 3)
        assert light.sky.dtype == light.colours.dtype == light.directions.dtype == np.float32
        assert 1 <= count <= 4
        assert np.allclose(np.linalg.norm(light.directions, axis=1), 1.0, atol=1e-5)
        assert light.colours.min() >= 0.0
        assert -1 <= light.shadowed < count
        if light.shadowed >= 0:
            assert light.colours.sum(axis=1).argmax() == light.shadowed


def test_all_kinds_and_maps_occur(drawn, library):
    assert {light.facts["light"] for light in drawn} == {"room", "lamps", "ring", "screen"}
    assert {light.facts["environment"] for light in drawn} == {
        environment.name for environment in library._environments
    }
    assert len({environment.name for environment in library._environments}) == 18


def test_one_seed_gives_one_light(library):
    first, second, other = (library.sample(np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first.sky, second.sky)
    assert np.array_equal(first.colours, second.colours)
    assert not np.allclose(first.sky, other.sky)


def test_ring_lights_come_from_the_camera_and_screens_from_below(drawn):
    for light in drawn:
        if light.facts["light"] == "ring":
            assert light.directions[1, 2] < -0.95
            assert light.shadowed == -1
        if light.facts["light"] == "screen":
            assert light.directions[1, 1] > 0
            assert light.directions[1, 2] < 0
