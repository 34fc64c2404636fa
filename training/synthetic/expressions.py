"""Believable mixes of face units: speech, smiles, blinks, one-sided faces, a wandering gaze."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_MOODS: dict[str, dict[str, float]] = {
    "smile": {"mouthSmile": 0.8, "cheekSquint": 0.5, "eyeSquint": 0.35, "mouthDimple": 0.2},
    "laugh": {"mouthSmile": 0.9, "jawOpen": 0.45, "cheekSquint": 0.7, "mouthUpperUp": 0.3},
    "frown": {"mouthFrown": 0.6, "browDown": 0.6, "mouthPress": 0.3},
    "surprise": {"browOuterUp": 0.7, "browInnerUp": 0.8, "eyeWide": 0.6, "jawOpen": 0.3},
    "doubt": {"browDown": 0.4, "mouthPress": 0.4, "eyeSquint": 0.4},
    "disgust": {"noseSneer": 0.6, "mouthUpperUp": 0.4, "browDown": 0.4},
    "sad": {"browInnerUp": 0.7, "mouthFrown": 0.5, "mouthShrugLower": 0.3},
}
# At rest the shapes' brows are low; people before a camera are not that stern.
_AT_EASE = {"browInnerUp": 0.45, "browOuterUp": 0.3, "mouthSmile": 0.2}
_SOUNDS: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.55, "mouthLowerDown": 0.25},
    {"jawOpen": 0.25, "mouthStretch": 0.45},
    {"jawOpen": 0.3, "mouthFunnel": 0.6},
    {"mouthPucker": 0.7, "jawOpen": 0.1},
    {"mouthRollLower": 0.35, "mouthRollUpper": 0.3, "mouthPress": 0.3},
    {"mouthLowerDown": 0.4, "mouthUpperUp": 0.25, "jawOpen": 0.12},
    {"jawOpen": 0.2, "mouthRollLower": 0.3, "mouthUpperUp": 0.15},
)
_ONE_SIDED = ("mouthSmile", "browOuterUp", "eyeBlink", "mouthDimple", "browDown", "noseSneer")
_WHOLE = ("jaw", "mouthFunnel", "mouthPucker", "mouthRoll", "mouthShrug", "browInnerUp")
_SINGLE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight", "cheekPuff", "jawForward")


def sample_expression(rng: np.random.Generator) -> dict[str, float]:
    """Draw the strengths, 0…1, of the face units that are not at rest.

    About one in six faces rests, more or less at ease; speech, moods, blinks and one-sided
    movements mix in the others. Names are those of ARKit.
    """
    weights: dict[str, float] = {}
    _add(weights, _AT_EASE, float(rng.beta(1.2, 1.6)), rng)
    if rng.random() > 1 / 6:
        if rng.random() < 0.6:
            mood = _MOODS[str(rng.choice(list(_MOODS), p=(0.4, 0.15, 0.1, 0.1, 0.1, 0.05, 0.1)))]
            _add(weights, mood, float(rng.beta(1.6, 1.8)), rng)
        if rng.random() < 0.5:
            _add(weights, _SOUNDS[int(rng.integers(len(_SOUNDS)))], float(rng.uniform(0.3, 1)), rng)
        if rng.random() < 0.25:
            side = str(rng.choice(["Left", "Right"]))
            name = f"{rng.choice(_ONE_SIDED)}{side}"
            weights[name] = weights.get(name, 0.0) + float(rng.uniform(0.2, 0.8))
        if rng.random() < 0.15:
            weights[str(rng.choice(_SINGLE))] = float(rng.uniform(0.1, 0.5))
        if rng.random() < 0.03:  # the tongue comes out of an open mouth
            weights["tongueOut"] = float(rng.uniform(0.3, 1.0))
            weights["jawOpen"] = max(weights.get("jawOpen", 0.0), float(rng.uniform(0.25, 0.6)))
    _blink(weights, rng)
    _gaze(weights, rng)
    return {name: float(min(max(value, 0.0), 1.0)) for name, value in weights.items() if value > 0}


def _add(
    weights: dict[str, float], mix: dict[str, float], strength: float, rng: np.random.Generator
) -> None:
    """Add a mix; the two sides of a face differ by a few per cent."""
    for stem, full in mix.items():
        value = full * strength * float(rng.uniform(0.7, 1.2))
        if stem.startswith(_WHOLE):
            sides = {stem: value}
        else:
            tilt = float(rng.normal(0.0, 0.08))
            sides = {f"{stem}Left": value * (1 + tilt), f"{stem}Right": value * (1 - tilt)}
        for name, part in sides.items():
            weights[name] = weights.get(name, 0.0) + part


def _blink(weights: dict[str, float], rng: np.random.Generator) -> None:
    """Close the lids a little, and now and then wholly, as in a blink."""
    closed = float(rng.uniform(0.5, 1.0)) if rng.random() < 0.08 else float(rng.beta(1.2, 12.0))
    for side in ("Left", "Right"):
        name = f"eyeBlink{side}"
        weights[name] = max(weights.get(name, 0.0), closed)
        if f"eyeWide{side}" in weights:  # lids cannot be torn open and shut at once
            weights[f"eyeWide{side}"] *= max(1.0 - 2.0 * weights[name], 0.0)


def _gaze(weights: dict[str, float], rng: np.random.Generator) -> None:
    """Turn both eyes the same way; upper lids follow through the units themselves."""
    across, up = rng.normal(0.0, 0.25, 2)
    left, right = ("Out", "In") if across > 0 else ("In", "Out")
    weights[f"eyeLook{left}Left"] = weights[f"eyeLook{right}Right"] = abs(float(across))
    vertical = "Up" if up > 0 else "Down"
    for side in ("Left", "Right"):
        weights[f"eyeLook{vertical}{side}"] = abs(float(up))
