"""3DMMNet: head model coefficients and view of a face, trained first (§III-C, eqs. 3–6).

The network is `face_3dmm`'s: `light`, or `paper-dense` on DenseNet-121. Its pose is learnt from
landmarks alone (eq. 5); the identity of real pictures comes from the fit of the head model to
their clip, in place of the recognition network that the paper asks (eq. 3 with λ2 = 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  the command line reads the annotations
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from stream.face_3dmm import SIZE, Crop, crop_ray
from stream.pose import ray_rotation
from training.experiments.face_3dmm import OUTPUTS, FaceNet
from training.learn.augment import recoloured
from training.learn.face_geometry import FaceGeometry, in_camera, projected, rotation_matrix
from training.multiview import losses

if TYPE_CHECKING:
    from torch import nn

    from training.learn.prepared import PreparedSet

_ZOOM, _SHIFT = 0.1, 0.04
_LANDMARKS = slice(0, 468)  # the irises turn by themselves
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class ModelNetConfig:
    """How 3DMMNet is trained.

    Attributes:
        variant: `light`, or `paper-dense`.
        steps: optimiser steps.
        batch: pairs a step.
        rate: learning rate; the paper's is 0.0002.
        parameters, pair, landmarks: weights of eqs. 3, 4 and 5, whose terms are means here.
        start: checkpoint of `face_3dmm` or of this network to begin with.
        seed: of weights and examples.
        threads: of torch; 0 leaves it to torch.
        every: steps between lines of the log.
    """

    variant: str = "light"
    steps: int = 2000
    batch: int = 8
    rate: float = 2e-4
    parameters: float = 1.0
    pair: float = 0.3
    landmarks: float = 20.0
    start: Path | None = None
    seed: int = 0
    threads: int = 0
    every: int = 100


def train_model_net(
    data: PreparedSet, config: ModelNetConfig, out: Path, held_out: PreparedSet | None = None
) -> Path:
    """Train 3DMMNet on the pairs of a set.

    Args:
        data: a set with pairs of views.
        config: how.
        out: folder of the checkpoint `model_net.pt`.
        held_out: a set whose pairs it is measured on.

    Returns:
        The checkpoint.
    """
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    network, geometry = _begun(config), FaceGeometry(torch.device("cpu"))
    optimiser = torch.optim.Adam(network.parameters(), config.rate)
    rng = np.random.default_rng(config.seed)
    sums: dict[str, float] = {}
    for step in range(1, config.steps + 1):
        rows = rng.integers(0, len(data.pairs["pixels"]), config.batch)
        terms = pair_loss(network, geometry, batch_of(data, rows, rng), config)
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % config.every == 0:
            row = {"step": float(step)} | {n: v / config.every for n, v in sums.items()}
            row |= {} if held_out is None else measured(network, geometry, held_out)
            print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
            sums = {}
    out.mkdir(parents=True, exist_ok=True)
    torch.save({"network": network.state_dict(), "variant": config.variant}, out / "model_net.pt")
    return out / "model_net.pt"


def load_model_net(path: Path) -> nn.Module:
    """Read a trained 3DMMNet, in evaluation mode."""
    kept = torch.load(path, map_location="cpu", weights_only=True)
    network = FaceNet(kept["variant"])
    network.load_state_dict(kept["network"])
    return network.eval()


def _begun(config: ModelNetConfig) -> nn.Module:
    network = FaceNet(config.variant)
    if config.start is not None:
        kept = torch.load(config.start, map_location="cpu", weights_only=True)
        network.load_state_dict(kept["network"])
    return network


def pair_loss(
    network: nn.Module, geometry: FaceGeometry, batch: Tensors, config: ModelNetConfig
) -> Tensors:
    """Return the weighted terms of eq. 6; rows of a batch go in pairs of views."""
    found = dict(zip(OUTPUTS, network(batch["picture"]), strict=True))
    identity, expression = found["identity"], found["expression"]
    places = landmarks_of(geometry, found, batch)
    views = [(part[0::2], part[1::2]) for part in (identity, expression)]
    return {
        "parameters": config.parameters
        * losses.parameters(
            identity, batch["identity"], expression, batch["expression"], 1 - batch["real"]
        ),
        "pair": config.pair * losses.pair(views[0], views[1]),
        "landmarks": config.landmarks * losses.landmarks(places, batch["points"][:, _LANDMARKS]),
    }


def landmarks_of(geometry: FaceGeometry, found: Tensors, batch: Tensors) -> torch.Tensor:
    """Project the found head's landmarks: Π(R L³ᴰ + t) of eq. 5, (N, 468, 2) crop sides."""
    points = geometry.points(found["identity"], found["expression"])[:, _LANDMARKS]
    turned = rotation_matrix(found["rotation"])
    return projected(in_camera(points, turned, found["place"], batch), batch)


def measured(
    network: nn.Module, geometry: FaceGeometry, data: PreparedSet, count: int = 100
) -> dict[str, float]:
    """Return the landmark error, % of the crop, and how far views of a head are apart (eq. 4)."""
    rows = np.linspace(0, len(data.pairs["pixels"]) - 1, count).astype(int)
    network.eval()
    errors, apart = [], []
    with torch.no_grad():
        for start in range(0, len(rows), 16):
            batch = batch_of(data, rows[start : start + 16], None)
            found = dict(zip(OUTPUTS, network(batch["picture"]), strict=True))
            places = landmarks_of(geometry, found, batch)
            errors.append(losses.landmarks(places, batch["points"][:, _LANDMARKS]))
            identity = found["identity"]
            apart.append((identity[0::2] - identity[1::2]).abs().mean())
    network.train()
    return {
        "landmark_percent": float(100 * torch.stack(errors).mean()),
        "identity_apart": float(torch.stack(apart).mean()),
    }


def batch_of(data: PreparedSet, rows: np.ndarray, rng: np.random.Generator | None) -> Tensors:
    """Cut pairs of views: 2·N rows, the views of a pair behind each other."""
    views = [view_of(data, int(row), number, rng) for row in rows for number in range(2)]
    batch = {name: torch.from_numpy(np.stack([one[name] for one in views])) for name in views[0]}
    batch["picture"] = batch["picture"].permute(0, 3, 1, 2).float() / 255
    return batch


def view_of(
    data: PreparedSet, row: int, number: int, rng: np.random.Generator | None
) -> dict[str, np.ndarray]:
    """Cut one view as `face_3dmm` sees it, with what is known of it; see learn.face_views."""
    pairs = data.pairs
    pixels = np.ascontiguousarray(pairs["pixels"][row, number])
    scale, shift = SIZE / pixels.shape[0], np.zeros(2)
    if rng is not None:
        scale *= float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
        shift = rng.uniform(-_SHIFT, _SHIFT, 2) * SIZE
        pixels = recoloured(pixels, rng, 0.7)
    offset = SIZE / 2 + shift - scale * np.full(2, pixels.shape[0] / 2)
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]], [0, 0, 1.0]])
    shifted = matrix[:2].copy()
    shifted[:, 2] += 0.5 * scale - 0.5
    picture = cv2.warpAffine(
        pixels, shifted, (SIZE, SIZE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    points = pairs["points478"][row, number] @ matrix[:2, :2].T + matrix[:2, 2]
    return {
        "picture": picture,
        "points": ((points - SIZE / 2) / SIZE).astype(np.float32),
        "identity": np.asarray(pairs["identity"][row, number], np.float32),
        "expression": np.asarray(pairs["expression"][row, number], np.float32),
        "real": np.float32(pairs["real"][row]),
    } | camera_in_crop(matrix @ pairs["intrinsics"][row, number])


def camera_in_crop(intrinsics: np.ndarray) -> dict[str, np.ndarray]:
    """Return `camera` and `ray` of a crop, as learn.face_geometry wants them."""
    ray = ray_rotation(crop_ray(Crop(SIZE / 2, SIZE / 2, SIZE), intrinsics))
    centre = (intrinsics[:2, 2] - SIZE / 2) / SIZE
    camera = np.array([intrinsics[0, 0] / SIZE, *centre])
    return {"camera": camera.astype(np.float32), "ray": ray.astype(np.float32)}
