"""Children of 8 to 14 years: MakeHuman's shapes between baby, child and young adult."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.head_model.people import AGE_ANCHORS, macro_factors
from training.head_model.source import read_target, target_files, target_name

if TYPE_CHECKING:
    from pathlib import Path

    from scipy import sparse

    from training.head_model.people import Targets

SHARE = 0.08  # of people
GROWN_UP = 0.3  # age below which nobody has a beard or make-up
_AGES = (0.146, 0.27)  # in MakeHuman, 0.5 is 25 years and a year is 1/48
_CHILD = 7  # what a generator is for


def child_age(seed: int) -> float | None:
    """Tell whether the person of a seed is a child, and its age, 0…1; 0.1875 is ten years."""
    rng = np.random.default_rng([seed, _CHILD])
    return float(rng.uniform(*_AGES)) if rng.random() < SHARE else None


def sex_and_age(source: str, seed: int) -> tuple[float, float]:
    """Tell what sex and age the shape of a seed will have, both 0…1.

    Scans say neither, so that any skin may go with them.
    """
    rng = np.random.default_rng(seed)
    if source == "ict":
        return float(rng.random() < 0.5), float(rng.uniform(0.4, 0.9))
    factors = macro_factors(1, rng)
    age = child_age(seed) or 0.5 + 0.5 * factors["old"][0] - 0.31 * factors["child"][0]
    return float(factors["male"][0]), float(age)


def looks_age(age: float) -> float:
    """Return the age, 0…1, for things that come with years: well before any of them to children."""
    return age if age > GROWN_UP else 0.1


class Children:
    """Makes people children.

    Args:
        targets: the shape targets of grown-ups and ten-year-olds.
        select: (R, B) sparse, rows of the head from vertices of the base mesh.
    """

    def __init__(self, targets: Targets, select: sparse.csr_matrix) -> None:
        files = [
            path
            for path in target_files("macrodetails")
            if "baby" in path.name and "cup" not in path.name and "height" not in path.name
        ]
        self._names = [*targets.macro_names, *(target_name(path) for path in files)]
        babies = [_dense(path, select) for path in files]
        self._shapes = np.concatenate([targets.macro, np.stack(babies)])

    def change(self, seed: int, age: float) -> np.ndarray:
        """Return (R, 3) float32 mm from a grown-up's shape to the same person's at an age.

        Args:
            seed: of the source of chance that `sample_people` was given.
            age: 0…1, below that of young adults.
        """
        grown = macro_factors(1, np.random.default_rng(seed))
        grown["baby"] = np.zeros(1)
        apart = _weights(self._names, _aged(grown, age)) - _weights(self._names, grown)
        return (apart.astype(np.float32) @ self._shapes).reshape(-1, 3)


def _aged(factors: dict[str, np.ndarray], age: float) -> dict[str, np.ndarray]:
    """Return the shares of the anchors at an age, all else unchanged."""
    child, young = AGE_ANCHORS["child"], AGE_ANCHORS["young"]
    shares = {"old": 0.0, "baby": max(0.0, 1.0 - age / child)}
    shares["young"] = max(0.0, (age - child) / (young - child))
    shares["child"] = 1.0 - shares["baby"] - shares["young"]
    return factors | {name: np.full(1, share) for name, share in shares.items()}


def _weights(names: list[str], factors: dict[str, np.ndarray]) -> np.ndarray:
    """(M,) weight of each target: the product of the factors in its name."""
    words = ([word for word in name.split("-") if word != "universal"] for name in names)
    return np.array([np.prod([factors[word][0] for word in each]) for each in words])


def _dense(path: Path, select: sparse.csr_matrix) -> np.ndarray:
    ids, offsets = read_target(path)
    dense = np.zeros((select.shape[1], 3))
    dense[ids] = offsets
    return (select @ dense).astype(np.float32).ravel()
