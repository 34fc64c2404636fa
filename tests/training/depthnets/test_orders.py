import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

from toy_people import toy_people

from training.depthnets.models import load_depthnet
from training.depthnets.orders import orders, paired_difference
from training.depthnets.tables import Bench
from training.depthnets.train import TrainConfig


def test_a_true_difference_is_told_from_chance():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(60), 5)
    error = rng.uniform(1, 3, 300)
    chance = paired_difference(error, error + rng.normal(0, 0.3, 300), person)
    assert chance.low < 0 < chance.high
    worse = paired_difference(error, 1.1 * error + rng.normal(0, 0.3, 300), person)
    assert 6 < worse.percent < 14
    assert 0 < worse.low < worse.percent < worse.high
    assert str(worse).startswith("+")


def test_people_are_drawn_not_pairs():
    rng = np.random.default_rng(1)
    of_person = np.repeat(rng.normal(0, 0.5, 20), 50)  # the same for all pairs of a person
    error = np.full(1000, 2.0)
    by_person = paired_difference(error, error + of_person, np.repeat(np.arange(20), 50))
    by_pair = paired_difference(error, error + of_person, np.arange(1000))
    assert by_person.high - by_person.low > 3 * (by_pair.high - by_pair.low)


def test_every_pair_of_rows_and_every_wrong_picture_is_compared(tmp_path):
    faces = toy_people(points=68, pictures=40)
    bench = Bench(faces, faces, tmp_path, TrainConfig(steps=2, batch=8, pairs="same"), print)
    found = orders(bench)
    assert set(found) == {
        "3 → 4", "5 → 6", "7 → 8",
        *(f"{n}, {kind}" for n in (4, 6, 8) for kind in ("pictures of others", "grey")),
    }  # fmt: skip
    assert all(np.isfinite([d.percent, d.low, d.high]).all() for d in found.values())
    assert load_depthnet(bench.network(4))[0].pictures == 40
    with pytest.raises(ValueError, match="pictures"):
        orders(Bench(toy_people(), toy_people(), tmp_path, bench.config, print))
