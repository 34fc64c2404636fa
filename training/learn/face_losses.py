"""Losses of `face_3dmm`, each by its equation; they return (N,) or (), in the units below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def coefficients(found: torch.Tensor, true: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
    """L1 of coefficients (Learning Monocular Face Reconstruction, eq. 3).

    Args:
        found: (N, K).
        true: (N, K).
        importance: (K,), sums to 1: how far a component moves (or colours) the face, so that the
            error is counted in what one sees of it.
    """
    return ((found - true).abs() * importance).sum(1).mean()


def strengths(found: torch.Tensor, true: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
    """Squared error of face units, (N, E) each, weighted as in `coefficients`.

    Four fifths of the units rest in any one face: with eq. 3 alone the best answer is that all
    of them always do.
    """
    return ((found - true).square() * importance).sum(1).mean()


def shape(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean distance of vertices (N, V, 3): eq. 3 again, counted on the surface."""
    return _length(found - true).mean()


def landmarks(found: torch.Tensor, true: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Distance of projected landmarks (Learning Monocular Face Reconstruction, eq. 5).

    Args:
        found: (N, P, 2), crop sides.
        true: likewise.
        visible: (N, P); hidden ones count a third.
    """
    weight = (1 + 2 * visible) / 3
    return (weight * _length(found - true)).sum() / weight.sum()


def photometric(picture: torch.Tensor, drawn: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Colour distance inside of the rendered face (Deep 3D Portrait, eq. 2).

    Args:
        picture: (N, F, 3), 0…1, its colours where the triangles project to.
        drawn: (N, F, 3), 0…1, the triangles' own colours in the found light.
        seen: (N, F), the skin that shows: the skin mask of the paper's reference [16].
    """
    return (seen * _length(picture - drawn)).sum() / seen.sum().clamp(min=1)


def perceptual(
    identity_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    picture: torch.Tensor, drawn: torch.Tensor, seen: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """1 − cosine of identity features of the picture and of the drawn face (eq. 3).

    Args:
        identity_of: from colours (N, F, 3) and seen (N, F) to features (N, D); see
            learn.face_identity.
        picture: as in `photometric`.
        drawn: likewise.
        seen: likewise.
    """
    true = identity_of(picture, seen)
    found = identity_of(drawn, seen)
    return (1 - torch.nn.functional.cosine_similarity(true, found, dim=1)).mean()


def consistency(
    first: torch.Tensor, second: torch.Tensor, importance: torch.Tensor
) -> torch.Tensor:
    """Two views of one person want one identity (Learning Monocular Face Reconstruction, eq. 4).

    Our views differ in expression, so that only the identity part of the equation holds.
    """
    return ((first - second).abs() * importance).sum(1).mean()


def regularisation(identity: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
    """Coefficients stay near the average person's (Deep 3D Portrait, §4.1)."""
    return identity.square().mean() + texture.square().mean()


def _length(difference: torch.Tensor) -> torch.Tensor:
    """Return the length along the last axis; smooth at 0."""
    return (difference.square().sum(-1) + 1e-8).sqrt()
