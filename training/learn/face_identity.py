"""Who is it? Features of a face's skin for the perceptual loss, learnt on synthetic people.

    python -m training.learn.face_identity SET FILE [--validation SET]

The skin is unwrapped: its colours are read at the triangles of `learn.face_fields`, so that the
order of the input says where on the face a colour belongs and a small perceptron is enough. It is
trained to tell the people of a prepared set apart, each seen in four lights, poses and
expressions. A recognition network for pictures (ArcFace, VGG-Face) can take its place where the
user holds one: anything that is called with colours (N, F, 3) and seen (N, F) will do.
"""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003  the command line reads the annotations

import numpy as np
import torch
import tyro
from torch import nn

from training.learn.face_fields import FACE_TRIANGLES
from training.learn.face_geometry import FaceGeometry, colours_at
from training.learn.face_views import view
from training.learn.prepared import PreparedSet, open_set
from training.synthetic.dataset import VIEWS_PER_PERSON

_WIDE, _FEATURES, _SHARPNESS = 384, 128, 16.0
_DROPPED = 0.3  # share of triangles that are hidden while training


class Features(nn.Module):
    """From the colours of a face to features of its owner."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4 * FACE_TRIANGLES, _WIDE),
            nn.LayerNorm(_WIDE),
            nn.GELU(),
            nn.Dropout(0.3),
            nn.Linear(_WIDE, _WIDE),
            nn.GELU(),
            nn.Linear(_WIDE, _FEATURES),
        )

    def forward(self, colours: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """(N, F, 3) colours 0…1 and (N, F) seen → (N, 128), of which the direction counts."""
        weight = seen.unsqueeze(-1)
        count = weight.sum(1, keepdim=True).clamp(min=1)
        mean = (weight * colours).sum(1, keepdim=True) / count
        spread = (weight * (colours - mean).square()).sum((1, 2), keepdim=True) / count
        # The mean stays in, small: light changes it, but so does the tone of the skin.
        level = (colours - mean) / (spread + 1e-4).sqrt() + 0.5 * (mean - 0.5)
        return self.body(torch.cat([weight * level, weight], dim=-1).flatten(1))


def load_identity(path: Path) -> Features:
    """Read trained features, frozen."""
    network = Features()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


def unwrapped(data: PreparedSet, every: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the skin colours (count, F, 3) of a set's faces at their true places, and seen."""
    geometry = FaceGeometry(torch.device("cpu"))
    colours, seen = [], []
    for start in range(0, data.count, 50 * every):
        rows = range(start, min(start + 50 * every, data.count), every)
        views = [view(data, index, None) for index in rows]
        batch = {n: torch.from_numpy(np.stack([one[n] for one in views])) for n in views[0]}
        picture = batch["picture"].permute(0, 3, 1, 2).float() / 255
        vertices = geometry.vertices(batch["identity"], batch["expression"])
        colours.append(colours_at(picture, geometry.skin(vertices, batch, batch).places))
        seen.append(batch["seen"])
    return torch.cat(colours), torch.cat(seen)


def train(colours: torch.Tensor, seen: torch.Tensor, steps: int, seed: int = 0) -> Features:
    """Learn to tell people apart: softmax over cosines (NormFace, Wang et al. 2017).

    Args:
        colours: as `unwrapped` gives them, VIEWS_PER_PERSON successive rows a person.
        seen: likewise.
        steps: of 128 faces.
        seed: of weights and batches.
    """
    torch.manual_seed(seed)
    people = -(-len(colours) // VIEWS_PER_PERSON)
    network, centres = Features(), nn.Parameter(torch.randn(people, _FEATURES))
    optimiser = torch.optim.AdamW([*network.parameters(), centres], lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(0, len(colours), (128,))
        kept = seen[rows] * (torch.rand(128, seen.shape[1]) > _DROPPED)
        gain = torch.exp(0.15 * torch.randn(128, 1, 3))
        features = network((colours[rows] * gain).clamp(0, 1), kept)
        cosine = nn.functional.normalize(features) @ nn.functional.normalize(centres).T
        error = nn.functional.cross_entropy(_SHARPNESS * cosine, rows // VIEWS_PER_PERSON)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def separation(network: Features, colours: torch.Tensor, seen: torch.Tensor) -> float:
    """Return how often two views of one person are more alike than two of different people."""
    with torch.no_grad():
        features = nn.functional.normalize(network(colours, seen))
    alike = features @ features.T
    person = torch.arange(len(colours)) // VIEWS_PER_PERSON
    same = person[:, None] == person[None]
    pairs = torch.triu(torch.ones_like(same), 1)
    own, other = alike[same & pairs], alike[~same & pairs]
    order = torch.sort(other).values
    return float(torch.searchsorted(order, own).float().mean() / len(other))


def main(
    source: tyro.conf.Positional[Path], out: tyro.conf.Positional[Path], *,
    validation: Path | None = None, steps: int = 3000,
) -> None:  # fmt: skip
    """Train the features on a prepared set with the fields of learn.face_fields."""
    started = time.perf_counter()
    network = train(*unwrapped(open_set(source)), steps)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), out)
    print(f"{out}: {time.perf_counter() - started:.0f} s")
    if validation is not None:
        score = separation(network, *unwrapped(open_set(validation)))
        print(f"two views of one person are more alike than of two in {100 * score:.1f} %")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.learn.face_identity", description=__doc__)
