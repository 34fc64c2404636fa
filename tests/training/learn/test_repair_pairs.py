import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

from stream.errors import UserError
from stream.gl import create_context
from stream.repair import SIZE
from tests.stream.videos import CLIP, clip_frames
from training.learn import repair_pairs
from training.learn.prepared import open_set
from training.learn.repair_pairs import (
    FRONTAL,
    SELF,
    SWAPPED,
    Paster,
    Portrait,
    real_portraits,
    without_face,
)


@pytest.fixture(scope="module")
def portraits():
    try:
        create_context().release()
    except UserError as error:
        pytest.skip(str(error))
    found = real_portraits([CLIP], first_person=5)
    assert len(found) > 5
    return found


def test_faces_of_a_clip_are_one_person_and_of_the_size_of_synthetic_ones(portraits):
    assert {one.person for one in portraits} == {5}
    for one in portraits[:3]:
        assert np.ptp(one.points, axis=0).max() < 162
        assert one.points.min() > 0


def test_a_pasted_face_changes_its_own_place_only(portraits):
    paster = Paster(np.random.default_rng(0))
    mirrored = clip_frames(1)[0][:, ::-1]
    source = Portrait(np.ascontiguousarray(mirrored), portraits[0].points, 6)
    made = paster.swapped(source, portraits[3], SWAPPED)
    assert made.pasted.shape == made.real.shape == (SIZE, SIZE, 3)
    assert made.masks.shape == (SIZE, SIZE, 2)
    covered = made.masks[..., 0] > 0
    changed = np.abs(made.pasted.astype(int) - made.real).max(axis=2) > 2
    assert 0.15 < covered.mean() < 0.6
    assert changed[covered].mean() > 0.5
    assert changed[~covered].mean() < 0.02
    assert not made.masks[..., 1].any()


def test_a_face_on_its_own_person_comes_near_the_truth(portraits):
    paster = Paster(np.random.default_rng(1))
    own = paster.swapped(portraits[0], portraits[0], SELF)
    assert np.abs(own.pasted.astype(int) - own.real).mean() < 12


def test_turned_to_the_front_something_around_the_face_is_unknown(portraits):
    made = Paster(np.random.default_rng(2)).frontalised(portraits[2])
    shown, unknown = made.masks[..., 0] > 127, made.masks[..., 1] > 127
    assert shown.any()
    assert not (shown & unknown).any()
    outside = made.masks.max(axis=2) == 0
    assert np.abs(made.pasted.astype(int) - made.real)[outside].mean() < 1


def test_a_face_that_is_taken_away_leaves_smooth_colours(portraits):
    pixels, points = portraits[0].pixels, portraits[0].points
    filled, unknown = without_face(pixels, points)
    inside = unknown > 0
    assert np.array_equal(filled[~inside], pixels[~inside])
    slope = [np.abs(np.diff(p.astype(int), axis=0))[inside[1:]].mean() for p in (filled, pixels)]
    assert slope[0] < 0.5 * slope[1]


def test_a_set_is_made_of_all_kinds(portraits, monkeypatch, tmp_path):
    monkeypatch.setattr(repair_pairs, "open_set", lambda _: None)
    monkeypatch.setattr(repair_pairs, "synthetic_portraits", lambda _data, _most: portraits[:4])
    repair_pairs.make(tmp_path / "set", data=tmp_path, sources=(CLIP,), count=24, seed=2)
    made = open_set(tmp_path / "set")
    assert made.count == 24
    assert set(np.unique(made["kind"])) == {SWAPPED, SELF, FRONTAL}
    assert made["masks"].max(axis=(1, 2, 3)).min() > 200
