"""What synthetic people wear and hold: glasses, hats, headphones, beards, hands and cups.

`sample_accessories` draws a specification, `accessories` makes the meshes in head space.
"""

import numpy as np

from training.synthetic.accessories.beards import beard
from training.synthetic.accessories.fitting import fit
from training.synthetic.accessories.glasses import glasses
from training.synthetic.accessories.handheld import handheld
from training.synthetic.accessories.hats import hat, tucked
from training.synthetic.accessories.headphones import headphones
from training.synthetic.accessories.spec import AccessorySpec, sample_accessories
from training.synthetic.scene import Surface

__all__ = ["AccessorySpec", "accessories", "sample_accessories", "tucked"]


def accessories(
    spec: AccessorySpec, head_mm: np.ndarray, hair_rgb: tuple[int, int, int]
) -> list[Surface]:
    """Make all that a person wears and holds.

    Args:
        spec: what it is; the same specification gives the same meshes.
        head_mm: (5013, 3) vertices of the head model with identity and expression, before the
            neck turns.
        hair_rgb: sRGB colour of the hair, for the beard.

    Returns:
        Surfaces in head space, to be turned with the head; lenses come last.
    """
    measured = fit(np.asarray(head_mm, np.float32))
    surfaces: list[Surface] = []
    if spec.beard is not None:
        surfaces += beard(spec, measured, hair_rgb)
    if spec.hat is not None:
        surfaces += hat(spec, measured)
    if spec.headphones:
        surfaces += headphones(spec, measured)
    if spec.handheld is not None:
        surfaces += handheld(spec, measured)
    if spec.glasses is not None:
        surfaces += glasses(spec, measured)
    return surfaces
