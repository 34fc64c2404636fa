"""All that is a guess of a drawn head: also what the live path does not count as one.

It spares the far side, hidden skin and what hardly goes with the head (`stream.provenance`). A
network that learns with them, too, keeps more of what is right among guesses.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stream.provenance import FRAGMENTS, TELL
from stream.refine import DOUBT, SIZE
from stream.warp import Warp
from stream.warp_shaders import VERTEX

if TYPE_CHECKING:
    import moderngl

GUESS, FAR, HIDDEN = range(3)  # channels
_SHEETS = {"far": FAR, "under": HIDDEN}  # the others have guesses of their own
_WIDENED = 0.5  # share of the examples
_FAR_SHARES, _HIDDEN_SHARES = (0.0, 0.5, 1.0), (0.0, 0.3, 0.7)


def guess_fragments(channel: int) -> dict[str, str]:
    """Return fragment shaders that tell one of the channels, wherever the head goes."""
    told = "guessed * covered" if channel == GUESS else "covered"
    return {
        kind: text.replace(
            TELL, f"colour = vec4({told if own == channel else 0.0}, 0.0, 0.0, covered);"
        )
        for kind, text in FRAGMENTS.items()
        for own in (_SHEETS.get(kind, GUESS),)
    }


class TellingWarp(Warp):
    """Tells all that is a guess of what it drew last."""

    def guesses(self) -> np.ndarray:
        """Return (256, 256, 3) uint8: guesses, far side and hidden skin, as shares of a pixel."""
        live, told = self._tellers, []
        for programs in self._programs_of_guesses:
            self._tellers = programs
            told.append(self.provenance(SIZE)[..., 1])
        self._tellers = live
        return np.dstack(told)

    @cached_property
    def _programs_of_guesses(self) -> list[dict[str, moderngl.Program]]:
        return [
            {
                kind: self.context.program(vertex_shader=VERTEX, fragment_shader=text)
                for kind, text in guess_fragments(channel).items()
            }
            for channel in (GUESS, FAR, HIDDEN)
        ]


def widened(masks: np.ndarray, guesses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Count more as a guess in half of the cases: what hardly moves, the far side, hidden skin.

    Args:
        masks: (S, S, 4) uint8, see `stream.refine.refine_masks`.
        guesses: (S, S, 3) uint8, as of `TellingWarp.guesses`.
        rng: draws what counts how far.

    Returns:
        (S, S, 4) uint8; the masks themselves in the other half.
    """
    if rng.random() >= _WIDENED:
        return masks
    doubt = masks[..., DOUBT].astype(np.float32)
    if rng.random() < 0.5:
        doubt = np.maximum(doubt, guesses[..., GUESS])
    doubt += rng.choice(_FAR_SHARES) * guesses[..., FAR]
    doubt += rng.choice(_HIDDEN_SHARES) * guesses[..., HIDDEN]
    wide = masks.copy()
    wide[..., DOUBT] = np.clip(doubt, 0, 255)
    return wide
