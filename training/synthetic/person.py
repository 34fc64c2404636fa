"""What was drawn of a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.synthetic.accessories import AccessorySpec
    from training.synthetic.clothes import ClothesSpec
    from training.synthetic.hair import HairSpec
    from training.synthetic.skins import SkinSpec


@dataclass(frozen=True, slots=True)
class PersonSpec:
    """All that was drawn of a person.

    Attributes:
        seed: of the shape.
        source: `makehuman`, shapes mixed of artists' targets, or `ict`, of scanned people.
        male: 0 female … 1 male.
        age: 0…1; 0.5 is a young adult, 1 old.
        skin, hair, clothes, accessories: what was drawn of them.
        eyes: name of the iris texture.
        brows, lashes, teeth: names of the parts.
    """

    seed: int
    source: str
    male: float
    age: float
    skin: SkinSpec
    hair: HairSpec
    clothes: ClothesSpec
    accessories: AccessorySpec
    eyes: str
    brows: str
    lashes: str
    teeth: str


def facts_of(spec: PersonSpec) -> dict[str, str | float]:
    """Say what was drawn, for statistics."""
    worn = spec.accessories
    return {
        "source": spec.source,
        "male": spec.male,
        "age": spec.age,
        "skin": spec.skin.file,
        "tone": spec.skin.lightness,
        "hair": spec.hair.style,
        "hair_colour": spec.hair.colour,
        "hair_falls": "before shoulders" if spec.hair.front > 0 else "behind",
        "clothes": spec.clothes.kind,
        "collar": spec.clothes.collar.kind if spec.clothes.collar else "none",
        "glasses": worn.glasses or "none",
        "hat": worn.hat or ("headphones" if worn.headphones else "none"),
        "beard": worn.beard or ("stubble" if spec.skin.stubble > 0.2 else "none"),
        "handheld": worn.handheld or "none",
    }
