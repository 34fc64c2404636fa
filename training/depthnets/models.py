"""The eight models of Table 1: what each takes, learns and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stream.affine import apply_affine, lift, solve_affine
from stream.errors import UserError
from training.depthnets.nets import DepthNet

if TYPE_CHECKING:
    from pathlib import Path

    from training.depthnets.keypoints import KeypointSet

RIDGE = 1e-6  # a network that has hardly learned may put all keypoints into a plane


@dataclass(frozen=True, slots=True)
class Model:
    """One row of Table 1.

    Attributes:
        number: of the row.
        words: what the paper calls it.
        paper: its (MSE, MSE_norm) there.
        learned_by: number of the model whose network it uses; 0 for baselines.
        pictures: whether that network sees pictures besides keypoints.
        solves: whether m comes from eq. 3 when the model answers.
    """

    number: int
    words: str
    paper: tuple[float, float]
    learned_by: int = 0
    pictures: bool = False
    solves: bool = True

    @property
    def joint(self) -> bool:
        """Whether training goes through the solution of eq. 3 (§2.3)."""
        return self.learned_by in (7, 8)


MODELS = {
    model.number: model
    for model in (
        Model(1, "2D affine registration", (1.562, 9.547)),
        Model(2, "3D affine registration of an average 3D face", (0.724, 7.486)),
        Model(3, "depth and geometry predicted (2.1)", (0.568, 6.292), 3, solves=False),
        Model(4, "as 3, with siamese pictures", (0.539, 6.115), 4, True, solves=False),
        Model(5, "depth of 3, geometry by least squares (2.2)", (0.400, 5.184), 3),
        Model(6, "depth of 4, geometry by least squares (2.2)", (0.399, 5.175), 4, True),
        Model(7, "through the pseudoinverse (2.3)", (0.357, 4.932), 7),
        Model(8, "as 7, with siamese pictures", (0.349, 4.891), 8, True),
    )
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of pairs of faces.

    Attributes:
        placed: (N, K, 2) where the source's keypoints go.
        affine: (N, 2, 4) m; (N, 2, 3) of the plane baseline.
        depth: (N, K), where the model has any.
    """

    placed: np.ndarray
    affine: np.ndarray
    depth: np.ndarray | None


def registered_plane(source: np.ndarray, target: np.ndarray) -> Answer:
    """Model 1: the best plane affine."""
    affine = solve_affine(source, target)
    return Answer(apply_affine(affine, source), affine, None)


def mean_face(faces: KeypointSet) -> np.ndarray:
    """Return the (K, 3) average face of model 2: all aligned to the most frontal (Procrustes).

    Raises:
        UserError: if the faces have no true depth.
    """
    if faces.depth is None:
        raise UserError(
            "model 2 needs faces with true depth",
            f"{faces.name} have none",
            "Give synthetic people or 3DFAW.",
        )
    lifted = lift(faces.points, faces.depth).astype(np.float64)
    lifted = lifted - lifted.mean(1, keepdims=True)
    lifted /= np.sqrt((lifted**2).mean((1, 2), keepdims=True))
    start = 0 if faces.yaw_deg is None else int(np.abs(faces.yaw_deg).argmin())
    mean = lifted[start]
    for _ in range(3):
        mean = _turned_onto(lifted, mean).mean(0)
    return mean


def _turned_onto(faces: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Rotate (N, K, 3) faces onto one (orthogonal Procrustes)."""
    u, _, vt = np.linalg.svd(faces.swapaxes(1, 2) @ face)
    turn = u @ vt
    u[..., 2] *= np.linalg.det(turn)[:, None]
    return faces @ (u @ vt)


def registered_template(template: np.ndarray, source: np.ndarray, target: np.ndarray) -> Answer:
    """Model 2: the average face, laid on the source by a 3D affine, then mapped to the target.

    Args:
        template: (K, 3) average face.
        source: (N, K, 2) keypoints.
        target: (N, K, 2) keypoints.
    """
    wide = np.broadcast_to(template, (*source.shape[:2], 3))
    laid = solve_affine(wide, source)
    rows = laid[..., :3]
    turn, _ = np.linalg.qr(np.swapaxes(rows, 1, 2), mode="complete")
    scale = np.linalg.norm(rows, axis=(1, 2)) / np.sqrt(2)
    depth = wide @ turn[..., 2:] * scale[:, None, None]
    face = np.concatenate([apply_affine(laid, wide), depth], axis=-1)
    affine = solve_affine(face, target)
    return Answer(apply_affine(affine, face), affine, depth[..., 0])


def ask(
    model: Model,
    network: DepthNet,
    source: torch.Tensor,
    target: torch.Tensor,
    *pictures: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a network as its model says: (N, K) depth and (N, 2, 4) affine.

    Args:
        model: of 3 to 8.
        network: its own.
        source: (N, K, 2).
        target: (N, K, 2).
        pictures: of source and target, (N, 3, S, S), where the model sees any.
    """
    depth, affine = network(source, target, *pictures)
    if model.solves:
        affine = solve_affine(lift(source, depth), target, RIDGE)
    if affine is None:
        raise ValueError(f"model {model.number} needs a network that predicts the affine")
    return depth, affine


@torch.no_grad()
def answers(
    model: Model, network: DepthNet, faces: KeypointSet, first: np.ndarray, second: np.ndarray
) -> Answer:
    """Let a trained model answer pairs of faces, given by number."""
    network.eval()
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(first), 2048):
        pair = [chunk[start : start + 2048] for chunk in (first, second)]
        source, target = (torch.from_numpy(faces.points[chunk]) for chunk in pair)
        depth, affine = ask(model, network, source, target, *pictures_of(network, faces, *pair))
        placed = apply_affine(affine, lift(source, depth))
        parts.append(tuple(x.numpy() for x in (placed, affine, depth)))
    return Answer(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def pictures_of(
    network: DepthNet, faces: KeypointSet, *numbers: np.ndarray
) -> list[torch.Tensor]:  # fmt: skip
    """Return (N, 3, S, S) pictures, 0…1, of faces; none where the network sees none.

    Raises:
        ValueError: if the network wants pictures that the faces lack.
    """
    if not network.pictures:
        return []
    if faces.pictures is None or faces.pictures.shape[1] != network.pictures:
        raise ValueError(f"the network sees pictures of {network.pictures} pixels")
    return [
        torch.from_numpy(faces.pictures[chosen]).permute(0, 3, 1, 2).float() / 255
        for chosen in numbers
    ]


# --- files --------------------------------------------------------------------------------------


def save(path: Path, network: torch.nn.Module, facts: dict[str, Any]) -> None:
    """Write a checkpoint: weights, and facts of numbers and text that tell what they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"network": network.state_dict(), "facts": facts}, path)


@torch.no_grad()
def take_over(network: DepthNet, start: DepthNet) -> None:
    """Begin with the weights of another network; what it did not see counts for nothing at first.

    Raises:
        ValueError: if the network wants more than pictures that the other lacks.
    """
    known = start.state_dict()
    first = "dense.0.weight"
    wide = network.state_dict()[first].clone()
    seen = known[first].shape[1]
    if start.pictures == network.pictures:
        wide = known[first]
    else:
        wide.zero_()
        wide[:, :seen] = known[first]
    known[first] = wide
    if start.affine and not network.affine:  # §2.3 predicts no affine
        known |= {name: known[name][: network.points] for name in ("out.weight", "out.bias")}
    missing, foreign = network.load_state_dict(known, strict=False)
    if foreign or any(not name.startswith("eyes.") for name in missing):
        raise ValueError("the network wants more than pictures that the other lacks")


def load_depthnet(path: Path) -> tuple[DepthNet, dict[str, Any]]:
    """Read a checkpoint of a DepthNet."""
    stored = torch.load(path, weights_only=True)
    facts = stored["facts"]
    kinds = ("points", "affine", "pictures", "paired", "width")
    network = DepthNet(**{name: facts[name] for name in kinds})
    network.load_state_dict(stored["network"])
    return network.eval(), facts
