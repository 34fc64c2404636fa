"""Sample people: weights of the shape targets for a broad adult population."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from training.head_model.source import read_target, target_files, target_name

OPPOSITES = {
    "decr": "incr",
    "down": "up",
    "in": "out",
    "backward": "forward",
    "concave": "convex",
    "compress": "uncompress",
}
# Spread of the sliders of a folder; 1 is the whole way that the source's artists allow.
SLIDER_SPREAD = {
    "head": 0.15,
    "forehead": 0.22,
    "eyebrows": 0.25,
    "eyes": 0.25,
    "nose": 0.25,
    "mouth": 0.22,
    "chin": 0.25,
    "cheek": 0.28,
    "ears": 0.28,
    "neck": 0.25,
    "asym": 0.12,
}
# Sliders that move the crown by centimetres.
NARROW_SPREAD = {
    "forehead-nubian": 0.08,
    "forehead-scale-vert": 0.12,
    "head-back-scale-depth": 0.12,
    "head-angle": 0.08,
}
# Mean and spread of what makes the build; 0 and 1 are the ends of the source.
BUILD = {
    "muscle": (0.5, 0.18),
    "weight": (0.52, 0.24),
    "height": (0.5, 0.15),
    "proportions": (0.5, 0.2),
}
AGE_ANCHORS = {"child": 0.1875, "young": 0.5, "old": 1.0}


@dataclass(frozen=True, slots=True)
class Targets:
    """Shape targets on the head mesh.

    Attributes:
        macro_names, macro: names and (M, 3V) float32 offsets in mm of age, sex, build, ancestry.
        slider_names, sliders: names and ends (two, or one end and zeros), (S, 2, 3V) float32.
    """

    macro_names: list[str]
    macro: np.ndarray
    slider_names: list[str]
    sliders: np.ndarray


def load_targets(operator: sparse.csr_matrix) -> Targets:
    """Read every identity target and carry it to the head mesh.

    Args:
        operator: (V, B) head vertices from base vertices.
    """
    macros = [
        path
        for path in target_files("macrodetails")
        if "baby" not in path.name and "cup" not in path.name
    ]
    macro = np.stack([_on_head(path, operator) for path in macros])
    names, sliders = [], []
    for folder in SLIDER_SPREAD:
        for name, ends in _slider_files(folder).items():
            pair = [
                _on_head(end, operator) if end else np.zeros(3 * operator.shape[0], np.float32)
                for end in ends
            ]
            if max(np.abs(end).max() for end in pair) > 0.05:
                names.append(f"{folder}/{name}")
                sliders.append(np.stack(pair))
    return Targets([target_name(path) for path in macros], macro, names, np.stack(sliders))


def _on_head(path: Path, operator: sparse.csr_matrix) -> np.ndarray:
    ids, offsets = read_target(path)
    dense = np.zeros((operator.shape[1], 3))
    dense[ids] = offsets
    return (operator @ dense).astype(np.float32).ravel()


def _slider_files(folder: str) -> dict[str, tuple[Path | None, Path]]:
    """Pair the files of a folder into sliders: the low end (or None) and the high end."""
    files = {target_name(path): path for path in target_files(folder)}
    ends = {high: low for low, high in OPPOSITES.items()}
    sliders: dict[str, tuple[Path | None, Path]] = {}
    for name, path in files.items():
        stem, _, end = name.rpartition("-")
        if name.startswith("asymm-") or (folder == "asym" and end == "r"):
            continue
        if folder == "asym":
            sliders[stem] = (files.get(f"{stem}-r"), path)
        elif end in OPPOSITES and f"{stem}-{OPPOSITES[end]}" in files:
            sliders[f"{stem}-{end}"] = (path, files[f"{stem}-{OPPOSITES[end]}"])
        elif f"{stem}-{ends.get(end, '')}" not in files:
            sliders[name] = (None, path)
    return sliders


def sample_people(targets: Targets, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw people and return their offsets from the base head.

    Args:
        targets: the shape targets.
        count: number of people.
        rng: source of chance.

    Returns:
        (count, V, 3) float32 mm.
    """
    macro_weights = _macro_weights(targets.macro_names, count, rng)
    values = _slider_values(targets.slider_names, count, rng)
    low, high = np.maximum(-values, 0), np.maximum(values, 0)
    offsets = macro_weights.astype(np.float32) @ targets.macro
    offsets += low.astype(np.float32) @ targets.sliders[:, 0]
    offsets += high.astype(np.float32) @ targets.sliders[:, 1]
    return offsets.reshape(count, -1, 3)


def _macro_weights(names: list[str], count: int, rng: np.random.Generator) -> np.ndarray:
    """Weight of each macro target: the product of the factors in its name."""
    factors = macro_factors(count, rng)
    weights = np.ones((count, len(names)))
    for column, name in enumerate(names):
        for word in name.split("-"):
            if word != "universal":
                weights[:, column] *= factors[word]
    return weights


def macro_factors(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw sex, age, ancestry and build; name the share of every anchor.

    It is the first that `sample_people` asks of its source of chance, so that a copy of that
    source tells what kind of people will come.
    """
    male = rng.beta(0.35, 0.35, count)
    teen = rng.random(count) < 0.12
    age = np.where(teen, rng.uniform(0.27, 0.45, count), rng.uniform(0.42, 0.95, count))
    ancestry = rng.dirichlet([0.45, 0.45, 0.45], count).T
    child, young, old = AGE_ANCHORS.values()
    factors = {
        "male": male,
        "female": 1 - male,
        "child": np.clip((young - age) / (young - child), 0, 1),
        "old": np.clip((age - young) / (old - young), 0, 1),
        "african": ancestry[0],
        "asian": ancestry[1],
        "caucasian": ancestry[2],
    }
    factors["young"] = 1 - factors["child"] - factors["old"]
    for word, (middle, spread) in BUILD.items():
        value = np.clip(rng.normal(middle, spread, count), 0, 1)
        low, high = ("uncommon", "ideal") if word == "proportions" else ("min", "max")
        factors[low + word] = np.clip(1 - 2 * value, 0, 1)
        factors[high + word] = np.clip(2 * value - 1, 0, 1)
        factors["average" + word] = 1 - np.abs(2 * value - 1)
    return factors


def _slider_values(names: list[str], count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw slider positions; the two sides of a face share most of theirs."""
    shared: dict[str, np.ndarray] = {}
    values = np.zeros((count, len(names)))
    for column, name in enumerate(names):
        folder, _, rest = name.partition("/")
        spread = NARROW_SPREAD.get(rest.rpartition("-")[0], SLIDER_SPREAD[folder])
        if rest[:2] in ("l-", "r-"):
            key = f"{folder}/{rest[2:]}"
            if key not in shared:
                shared[key] = rng.normal(0, spread, count)
            value = shared[key] + rng.normal(0, 0.2 * spread, count)
        else:
            value = rng.normal(0, spread, count)
        values[:, column] = np.clip(value, -1.2, 1.2)
    return values
