"""What a synthetic person wears and holds, by name."""

from dataclasses import dataclass

import numpy as np

FRAMES = ("rectangular", "thick", "round", "half-rim", "aviator")
HATS = ("cap", "beanie", "hood")
BEARDS = ("full", "goatee", "moustache")
HANDHELD = ("hand", "microphone", "cup")

_GLASSES, _SUNGLASSES, _HAT, _HEADPHONES, _BEARD, _HANDHELD = 0.22, 0.15, 0.08, 0.07, 0.35, 0.10


@dataclass(frozen=True, slots=True)
class AccessorySpec:
    """All that was drawn; shapes and colours follow from the seed.

    Attributes:
        glasses: one of `FRAMES`, or None.
        hat: one of `HATS`, or None.
        headphones: whether there is a pair on the ears; never together with a hat.
        beard: one of `BEARDS`, or None.
        handheld: one of `HANDHELD`, or None.
        sunglasses: whether the lenses are dark.
        seed: of all sizes, colours and places.
        skin_rgb: sRGB of the holding hand; None draws one from the seed.
        cloth_rgb: sRGB of the clothes, which a hood belongs to; None draws one from the seed.
    """

    glasses: str | None = None
    hat: str | None = None
    headphones: bool = False
    beard: str | None = None
    handheld: str | None = None
    sunglasses: bool = False
    seed: int = 0
    skin_rgb: tuple[int, int, int] | None = None
    cloth_rgb: tuple[int, int, int] | None = None

    def rng(self, purpose: int) -> np.random.Generator:
        """Return the generator of one thing's details; things do not disturb each other."""
        return np.random.default_rng([self.seed, purpose])


def sample_accessories(rng: np.random.Generator, *, male: float, age: float) -> AccessorySpec:
    """Draw what a person wears and holds, as often as people do before webcams.

    Args:
        rng: source of chance.
        male: 0 female … 1 male; beards begin above 0.6.
        age: 0 child … 1 old, or years; the old wear more glasses, the same share on the whole.

    Returns:
        The specification; `accessories` makes the meshes.
    """
    years = age * 80.0 if age <= 1.0 else age
    glasses_share = _GLASSES * float(np.clip(0.7 + 0.6 * years / 80.0, 0.7, 1.3))
    wears_glasses = rng.random() < glasses_share
    hat = str(rng.choice(HATS, p=(0.45, 0.3, 0.25))) if rng.random() < _HAT else None
    headphones = bool(rng.random() < _HEADPHONES / (1.0 - _HAT)) and hat is None
    bearded = rng.random() < _BEARD and male > 0.6 and years >= 16
    held = rng.random() < _HANDHELD
    return AccessorySpec(
        glasses=str(rng.choice(FRAMES, p=(0.3, 0.25, 0.2, 0.13, 0.12))) if wears_glasses else None,
        hat=hat,
        headphones=headphones,
        beard=str(rng.choice(BEARDS, p=(0.55, 0.25, 0.2))) if bearded else None,
        handheld=str(rng.choice(HANDHELD, p=(0.5, 0.25, 0.25))) if held else None,
        sunglasses=bool(wears_glasses and rng.random() < _SUNGLASSES),
        seed=int(rng.integers(2**31)),
    )
