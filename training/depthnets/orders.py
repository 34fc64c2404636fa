"""Whether two rows of Table 1 differ, and whether pictures matter to the models that see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from training.depthnets.measure import squared_errors
from training.depthnets.models import MODELS, answers, load_depthnet
from training.depthnets.tables import Bench, all_pairs_of_one_person

if TYPE_CHECKING:
    from training.depthnets.keypoints import KeypointSet

_DRAWS = 2000
_GREY = 128
COMPARED = (("3", "4"), ("5", "6"), ("7", "8"))
SWAPPED = ("4", "6", "8")


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one error lies above another one, in % of the first.

    Attributes:
        percent: of the means.
        low, high: between which it lies for 95 % of draws of people.
    """

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.percent:+.1f} % ({self.low:+.1f} … {self.high:+.1f})"


def paired_difference(
    first: np.ndarray, second: np.ndarray, person: np.ndarray, seed: int = 0
) -> Difference:
    """Compare two errors of the same pairs by a bootstrap over people (Efron 1979).

    Pairs of one person are no independent samples, so that people are drawn, not pairs.

    Args:
        first: (P,) errors of the pairs.
        second: (P,) errors of the same pairs.
        person: (P,) whose pair it is.
        seed: of the draws.
    """
    _, number = np.unique(person, return_inverse=True)
    apart, base = np.bincount(number, second - first), np.bincount(number, first)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(base), size=(_DRAWS, len(base)))
    ratios = 100 * apart[drawn].sum(1) / base[drawn].sum(1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Difference(float(100 * apart.sum() / base.sum()), float(low), float(high))


def orders(bench: Bench, seed: int = 0) -> dict[str, Difference]:
    """Compare models with and without pictures, and with the right and with wrong pictures.

    Args:
        bench: faces with pictures, and checkpoints.
        seed: of the draws.

    Returns:
        By what is compared: `3 → 4` and the like; `4, pictures of others` beside the right ones;
        `4, grey` beside the right ones.

    Raises:
        ValueError: if the faces have no pictures.
    """
    test = bench.test
    if test.pictures is None:
        raise ValueError("pictures are needed")
    first, second = all_pairs_of_one_person(test)
    person = test.person[first]
    shuffled = np.random.default_rng(seed).permutation(len(test))
    kinds = {
        "pictures of others": replace(test, pictures=test.pictures[shuffled]),
        "grey": replace(test, pictures=np.full_like(test.pictures, _GREY)),
    }
    right = {
        name: _errors(bench, int(name), test, first, second)
        for name in sorted({name for pair in COMPARED for name in pair})
    }
    found = {f"{a} → {b}": paired_difference(right[a], right[b], person) for a, b in COMPARED}
    for name in SWAPPED:
        for kind, faces in kinds.items():
            wrong = _errors(bench, int(name), faces, first, second)
            found[f"{name}, {kind}"] = paired_difference(right[name], wrong, person)
    return found


def _errors(
    bench: Bench, number: int, faces: KeypointSet, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Mean squared error of every pair, for a model."""
    network, _ = load_depthnet(bench.network(number))
    told = answers(MODELS[number], network, faces, first, second)
    return squared_errors(told.placed, faces.points[second])
