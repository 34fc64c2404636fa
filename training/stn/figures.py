"""Figures 6, 7 and 8 of 3DMM-STN (Bas et al. 2017): what the network makes of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from stream.errors import UserError
from training.stn.faces import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.stn.faces import Faces
    from training.stn.model import Flattened, ThreeDmmStn

_TILE = 160
_GREY = 128


def flattened(network: ThreeDmmStn, faces: Faces, rows: Sequence[int]) -> Flattened:
    """Run the network on faces as they are."""
    cut = [shown(faces, int(row), network.localiser.side, None)[0] for row in rows]
    picture = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        return network(picture)


def figure_6(network: ThreeDmmStn, faces: Faces, rows: Sequence[int]) -> np.ndarray:
    """Lay out, a row each: picture, mesh, sampled texture, mask and masked texture."""
    flat = flattened(network, faces, rows)
    lines = []
    for number, row in enumerate(rows):
        picture = shown(faces, int(row), network.localiser.side, None)[0]
        mask = np.repeat(255 * flat.mask[number].numpy()[..., None], 3, axis=2).astype(np.uint8)
        cells = [
            picture,
            mesh_over(picture, flat.places[number].numpy(), flat.mask[number].numpy()),
            _picture(flat.values[number]),
            mask,
            masked_picture(flat, number),
        ]
        lines.append(np.hstack([_tile(cell) for cell in cells]))
    return np.vstack(lines)


def figure_7(network: ThreeDmmStn, faces: Faces, person: int, count: int = 8) -> np.ndarray:
    """Lay out pictures of one person, and their textures below: features stay in place.

    Raises:
        UserError: when nobody has that number.
    """
    mine = np.flatnonzero(faces.person == person)
    if len(mine) == 0:
        numbers = np.unique(faces.person)
        raise UserError(
            f"there is no person {person}",
            f"the pictures show {len(numbers)}",
            f"Give --person a number from {numbers[0]} to {numbers[-1]}",
        )
    rows = mine[np.linspace(0, len(mine) - 1, min(count, len(mine))).astype(int)]
    flat = flattened(network, faces, rows.tolist())
    above = [_tile(shown(faces, int(row), network.localiser.side, None)[0]) for row in rows]
    below = [_tile(masked_picture(flat, number)) for number in range(len(rows))]
    return np.vstack([np.hstack(above), np.hstack(below)])


def mean_texture(network: ThreeDmmStn, faces: Faces, person: int) -> tuple[np.ndarray, float]:
    """Average the visible texels of one person's pictures.

    Returns:
        (h, w, 3) uint8, grey where nothing was seen, and the mean standard deviation of texels
        that were seen at least three times, in grey levels: lower is a steadier correspondence.
    """
    mine = np.flatnonzero(faces.person == person).tolist()
    total = square = seen = torch.zeros(())
    for start in range(0, len(mine), 32):
        flat = flattened(network, faces, mine[start : start + 32])
        total = total + flat.masked.sum(dim=0)
        square = square + (flat.masked**2).sum(dim=0)
        seen = seen + flat.mask.sum(dim=0)
    mean = total / seen.clamp(min=1)
    spread = (square / seen.clamp(min=1) - mean**2).clamp(min=0).sqrt().mean(dim=0)
    often = seen >= 3
    level = float(255 * spread[often].mean()) if bool(often.any()) else float("nan")
    grey = torch.where(seen > 0, mean, torch.full_like(mean, _GREY / 255))
    return _picture(grey), level


def figure_8(network: ThreeDmmStn, faces: Faces, people: Sequence[int]) -> np.ndarray:
    """Lay out the mean textures of people, each under one of its pictures."""
    columns = []
    for person in people:
        first = int(np.flatnonzero(faces.person == person)[0])
        picture = shown(faces, first, network.localiser.side, None)[0]
        mean, _ = mean_texture(network, faces, int(person))
        count = int((faces.person == person).sum())
        cell = _tile(mean)
        cv2.putText(cell, str(count), (4, _TILE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3, 1)
        columns.append(np.vstack([_tile(picture), cell]))
    return np.hstack(columns)


def mesh_over(picture: np.ndarray, places: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw every few rows and columns of the grid over a picture, where it is visible."""
    size = mask.shape[0]
    scale = _TILE / picture.shape[0]
    drawn = _tile(picture).copy()
    grid = ((places.T.reshape(size, size, 2) + 0.5) * scale).round().astype(np.int32)
    step = max(size // 24, 1)
    for lines, seen in ((grid, mask), (grid.transpose(1, 0, 2), mask.T)):
        for line, shows in zip(lines[::step], seen[::step], strict=True):
            for number in np.flatnonzero((shows[:-1] > 0) & (shows[1:] > 0)):
                ends = [tuple(end.tolist()) for end in line[number : number + 2]]
                cv2.line(drawn, ends[0], ends[1], (90, 255, 120), 1)
    return drawn


def masked_picture(flat: Flattened, number: int) -> np.ndarray:
    """Return the (h, w, 3) uint8 texture of a picture, grey where it is hidden."""
    seen = flat.mask[number][None]
    return _picture(flat.masked[number] + (1 - seen) * (_GREY / 255))


def _picture(values: torch.Tensor) -> np.ndarray:
    pixels = values.permute(1, 2, 0).numpy()
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)


def _tile(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR)
