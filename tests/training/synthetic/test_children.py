"""Children among the people."""

import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from dataclasses import replace

from training.synthetic import people as module
from training.synthetic.accessories import AccessorySpec
from training.synthetic.children import GROWN_UP, child_age, looks_age, sex_and_age

STILL = np.zeros(3)


def test_some_are_children_of_school_age():
    ages = [child_age(seed) for seed in range(3000)]
    young = [age for age in ages if age is not None]
    assert 0.06 < len(young) / len(ages) < 0.1
    assert 0.146 <= min(young) < 0.16 and 0.26 < max(young) <= 0.27
    assert [child_age(seed) for seed in range(50)] == ages[:50]


def test_the_age_that_is_told_is_the_one_that_is_drawn():
    seed = next(seed for seed in range(200) if child_age(seed) is not None)
    assert sex_and_age("makehuman", seed)[1] == child_age(seed)
    grown = [sex_and_age("ict", seed)[1] for seed in range(50)]
    assert min(grown) > GROWN_UP
    assert looks_age(0.2) == 0.1 and looks_age(0.6) == 0.6


def test_children_have_smaller_heads_with_larger_eyes(people, monkeypatch):
    spec = next(s for s in _specs(people) if s.source == "makehuman" and s.age > 0.45)
    spec = replace(spec, accessories=AccessorySpec())
    sizes = []
    for age in (None, 0.25, 0.19, 0.15):
        monkeypatch.setattr(module, "child_age", lambda seed, age=age: age)
        people._last = None
        surfaces = {s.name: s.vertices_mm for s in people.portrait(spec, {}, STILL).surfaces}
        skin = surfaces["skin"]
        head = np.ptp(skin[skin[:, 1] < 60, 0])
        shoulders = np.ptp(skin[:, 0])
        eyes = surfaces["eyes"]
        eye = np.ptp(eyes[eyes[:, 0] > 0, 0]) / head
        sizes.append((head, shoulders, eye))
    people._last = None
    heads, shoulders, eyes = np.array(sizes).T
    assert (np.diff(heads) < 0).all() and (np.diff(shoulders) < 0).all()
    assert heads[-1] < 0.97 * heads[0] and shoulders[-1] < 0.85 * shoulders[0]
    assert eyes[-1] > eyes[0]


def test_children_wear_neither_beards_nor_paint(people):
    young = [spec for spec in _specs(people, 900) if spec.age <= GROWN_UP]
    assert len(young) > 20
    for spec in young:
        assert spec.skin.stubble == spec.skin.lipstick == spec.skin.shadow == 0
        assert spec.accessories.beard is None


def _specs(people, count=60):
    rng = np.random.default_rng(3)
    return [people.sample(rng) for _ in range(count)]
