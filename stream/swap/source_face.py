"""What face swap needs of a source: one person, in the head model's terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


USUAL_DEPTH = 1.4  # of a good photo; for those whose eyes are shut


@dataclass(frozen=True, slots=True)
class SourceFace:
    """One person, ready to be put onto others.

    Attributes:
        identity: (80,) float32, standard deviations of the head model.
        offset_mm: (V, 3) float32, head space: what the model leaves out of this face at
            rest, nothing at lips and lids; to be added to ``model.shape(identity, expression)``.
        texture: (S, S, 3) uint8 RGB in the map of `texture_uv`, evenly lit, without gaps and
            without the folds that the photo's expression makes.
        folds: (S, S) uint8, those folds: log brightness, 0 at 128, `stream.swap.tension`'s
            FOLD_RANGE for 256.
        expression: (E,) float32 face units of the photo, which make them.
        depth: how much darker than skin the darks about the eyes are in the photo; see
            `stream.swap.contrast`.
        brows: (20,) float32, how high they lie; see `stream.swap.brows`.
        seen: (S, S) uint8, 255 where a photo showed the texel, 0 where it was completed.
        skin_mean: (3,) float32 mean colour of the skin in the texture, 0…255.
        skin_sd: (3,) float32 its spread.
        descriptor: (D,) float32 of unit length; see `stream.swap.likeness`.
        names: of the photos.
        warnings: what could be better about them, in sentences.
    """

    identity: np.ndarray
    offset_mm: np.ndarray
    texture: np.ndarray
    folds: np.ndarray
    expression: np.ndarray
    brows: np.ndarray
    seen: np.ndarray
    skin_mean: np.ndarray
    skin_sd: np.ndarray
    descriptor: np.ndarray
    names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    depth: float = USUAL_DEPTH

    def __post_init__(self) -> None:
        side = len(self.texture)
        wanted = {
            "offset_mm": (len(self.offset_mm), 3),
            "texture": (side, side, 3),
            "folds": (side, side),
            "seen": (side, side),
            "skin_mean": (3,),
            "skin_sd": (3,),
        }
        for name, shape in wanted.items():
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"SourceFace.{name}: expected shape {shape}, got {got}")
