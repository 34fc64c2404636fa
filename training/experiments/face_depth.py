"""Depth of a face, finer than the fitted head's: DepthNet and the suitability network.

Learning Monocular Face Reconstruction using Multi-View Supervision (Shu et al. 2020) §III-D,
eqs. 7–16. The truth is known of synthetic people and of rendered scans; pairs of views, of
people drawn and of people filmed, are compared through the depths found in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from stream.reconstruct.face_depth import GAIN, OFFSET, SIZE
from training.evaluate_repose.depth import depth_error
from training.learn.augment import cropped, recoloured
from training.multiview import losses
from training.multiview.colour import matched_to
from training.multiview.nets import DepthAndSuitability
from training.multiview.reprojection import View, occlusion_mask, reprojected, warped
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from training.learn.experiment import Batch
    from training.learn.prepared import PreparedSet

FACE = (Label.FACE, Label.EYES)
_LESS = (Label.EAR, Label.NECK, Label.MOUTH)
_WEIGHTS = np.zeros(256, np.float32)
_WEIGHTS[list(_LESS)] = 0.1
_WEIGHTS[list(FACE)] = 1.0
_ZOOM, _SHIFT, _TURN_DEG = 0.12, 0.05, 12.0  # of the crop's variation
_COARSE_SHARE, _LEAST_DETAIL = 0.3, 0.35
_MATCHED_SHARE = 0.5  # of real pairs that get the colours of another face
# The paper's terms are sums over pixels and unweighted but for λ3; ours are means.
_RATES = {
    "depth": 2.0, "relief": 10.0, "normals": 0.2, "model": 1.0, "photo": 0.5, "suitability": 0.05,
}  # fmt: skip
_PAIRS_PER_PICTURE = 0.25  # in a batch: a pair costs as much as two pictures


class FaceDepthTraining:
    """The experiment; see `learn.experiment.Experiment`.

    Args:
        pairs: which pairs of views are compared: `all`, `synthetic` ones only, or `none`.
    """

    name = "face_depth"
    variants = ("light", "paper")
    inputs = ("picture", "face_depth")
    outputs = ("depth",)

    def __init__(self, pairs: str = "all") -> None:
        self._kinds = {"all": (False, True), "synthetic": (False,), "none": ()}[pairs]
        self._chosen: np.ndarray | None = None

    def build(self, variant: str) -> nn.Module:
        """Make the networks."""
        return DepthAndSuitability(variant)

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return `picture`, `face_depth` (S, S, 2), `depth`, `weight` and `labels` (S, S).

        For training on a set with pairs of views there is one beside: `pair_…`.
        """
        arrays = {name: data[name][index] for name in ("pixels", "labels", "depth")}
        arrays["fitted_depth"] = data["model_depth"][index]
        seen = varied(arrays, rng)
        result = {
            "picture": seen["pixels"],
            "face_depth": two_channels(seen["fitted_depth"]),
            "depth": seen["depth"],
            "weight": known(seen["depth"], seen["labels"]),
            "labels": seen["labels"],
        }
        return result if rng is None else result | self._pair(data, rng)

    def _pair(self, data: PreparedSet, rng: np.random.Generator) -> dict[str, np.ndarray]:
        chosen = self._pairs_of(data)
        if len(chosen) == 0:
            return {}
        return self.pair(data, int(rng.choice(chosen)), rng)

    def pair(
        self, data: PreparedSet, index: int, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the arrays `pair_…` of one pair of views."""
        return pair_example(data, index, rng)

    def _pairs_of(self, data: PreparedSet) -> np.ndarray:
        if self._chosen is None:
            real = np.asarray(data.pairs["real"]) if data.pairs else np.zeros(0, bool)
            self._chosen = np.flatnonzero(np.isin(real, self._kinds))
        return self._chosen

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the terms of eq. 16."""
        found = network(batch["picture"], batch["face_depth"]).float()[:, 0]
        weight = batch["weight"]
        across = abs(GAIN) / SIZE
        terms = {
            "depth": losses.depth(found, batch["depth"], weight),
            "relief": losses.relief(found, batch["depth"], (weight > 0.5).float()),
            "normals": losses.normals(found, batch["depth"], weight, across),
            "model": losses.model(found, batch["face_depth"][:, 0].float()),
        }
        if "pair_pixels" in batch:
            some = max(1, round(_PAIRS_PER_PICTURE * len(batch["picture"])))
            pairs = {name: v[:some] for name, v in batch.items() if name.startswith("pair_")}
            terms = _added(terms, pair_terms(network, pairs))
        return {name: _RATES[name] * value for name, value in terms.items()}

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Return mean errors of the face after scale and shift, in % of its depth range."""
        rows = np.linspace(0, data.count - 1, min(count, data.count)).astype(int)
        errors = []
        for start in range(0, len(rows), 16):
            some = rows[start : start + 16]
            errors += [*picture_errors(predicted(network, data, some), data, some)]
        found, fitted = np.nanmean(np.array(errors), axis=0)
        return {"error_percent": float(found), "fit_percent": float(fitted)}

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw pictures, true, found and fitted depth, and the surfaces in one light."""
        rows = np.linspace(0, data.count - 1, 10).astype(int)
        examples = [self.example(data, int(row), None) for row in rows]
        found = predicted(network, data, rows)
        columns = []
        for one, depth in zip(examples, found, strict=True):
            inside = one["weight"] > 0
            maps = (one["depth"], depth, one["face_depth"][..., 0])
            lit = [lit_surface(value, inside) for value in maps]
            columns.append(np.vstack([one["picture"], *lit]))
        sheet = cv2.cvtColor(np.hstack(columns), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(path), sheet)


def varied(arrays: dict[str, np.ndarray], rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """Cut what the network sees out of a stored crop; with a generator, in many ways."""
    crop, zoom = sample_crop(arrays["pixels"].shape[0], rng)
    result = cropped(arrays, crop, SIZE)
    for name in ("depth", "fitted_depth"):
        if name in result:  # a nearer crop makes the relief larger in its sides
            result[name] = (OFFSET + zoom * (result[name] - OFFSET)).astype(np.float32)
    if rng is not None:
        result["pixels"] = coarser(recoloured(result["pixels"], rng, 1.0), rng)
    return {name: np.ascontiguousarray(value) for name, value in result.items()}


def sample_crop(size: int, rng: np.random.Generator | None) -> tuple[np.ndarray, float]:
    """Draw (2, 3) crop_from_picture and its zoom; the middle as it is without a generator."""
    linear, zoom, shift = np.eye(2), 1.0, np.zeros(2)
    if rng is not None:
        zoom = float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
        angle = np.radians(rng.uniform(-_TURN_DEG, _TURN_DEG))
        cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
        linear = np.array([[cosine, -sine], [sine, cosine]])
        if rng.random() < 0.5:
            linear = np.diag([-1.0, 1.0]) @ linear
        shift = rng.uniform(-_SHIFT, _SHIFT, 2) * SIZE
    middle = np.full(2, size / 2)
    return np.column_stack([linear, SIZE / 2 + shift - linear @ middle]), zoom


def coarser(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take detail away now and then: faces far away are small."""
    if rng.random() > _COARSE_SHARE:
        return pixels
    height, width = pixels.shape[:2]
    share = rng.uniform(_LEAST_DETAIL, 0.9)
    small = cv2.resize(
        pixels, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def two_channels(depth: np.ndarray) -> np.ndarray:
    """(S, S) depth, infinite where there is none → (S, S, 2) float32 depth and mask."""
    there = np.isfinite(depth)
    return np.dstack([np.where(there, depth, 0), there]).astype(np.float32)


def known(depth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the weight of pixels: 1 on the face, little beside it, 0 where nothing is known."""
    return (_WEIGHTS[labels] * np.isfinite(depth)).astype(np.float32)


def pair_example(data: PreparedSet, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Cut both views of a pair by one map, in one change of colours (§IV)."""
    pairs = data.pairs
    crop, zoom = sample_crop(pairs["pixels"].shape[2], rng)
    lifted = np.vstack([crop, [0, 0, 1]])
    views = []
    for number in range(2):
        maps = {"pixels": np.ascontiguousarray(pairs["pixels"][index, number])}
        maps["fitted_depth"] = pairs["model_depth"][index, number]
        views.append(cropped(maps, crop, SIZE))
    both = np.vstack([view["pixels"] for view in views])
    faces = np.vstack([np.isfinite(view["fitted_depth"]) for view in views])
    if pairs["real"][index] and rng.random() < _MATCHED_SHARE:
        other = int(rng.integers(data.count))
        skin = np.isin(data["labels"][other], FACE)
        both = matched_to(both, faces, data["pixels"][other][skin])
    both = recoloured(both, rng, 0.6)
    depths = [OFFSET + zoom * (view["fitted_depth"] - OFFSET) for view in views]
    return {
        "pair_pixels": np.dstack([both[:SIZE], both[SIZE:]]),
        "pair_face_depth": np.dstack([two_channels(depth) for depth in depths]),
        "pair_intrinsics": (lifted @ pairs["intrinsics"][index]).astype(np.float32).reshape(2, 9),
        "pair_camera_from_head": np.float32(pairs["camera_from_head"][index]).reshape(2, 16),
        "pair_tip_mm": np.float32(pairs["tip_mm"][index]),
        "pair_ray": np.float32(pairs["ray"][index]),
    }


def pair_terms(
    network: nn.Module, batch: Batch, *, weighed: bool = True
) -> dict[str, torch.Tensor]:
    """Return eqs. 10, 14 and 15 of pairs, each view compared with the other.

    Args:
        network: DepthNet and the suitability network.
        batch: the arrays `pair_…`.
        weighed: by suitability; otherwise the first is eq. 12.
    """
    count = len(batch["pair_pixels"])
    pictures = _views_first(batch["pair_pixels"], 3).float() / 255
    given = _views_first(batch["pair_face_depth"], 2)
    found, suitable = network(pictures, given, suitable=True)
    with torch.autocast(found.device.type, enabled=False):
        found, suitable, fitted = found.float()[:, 0], suitable.float(), given[:, 0].float()
        weight = suitable if weighed else torch.ones_like(suitable)
        views = [_view(batch, pictures[rows], number) for number, rows in _halves(count)]
        photo, regular = [], []
        for number, rows in _halves(count):
            other, across = 1 - number, slice((1 - number) * count, (2 - number) * count)
            grid, _ = reprojected(views[number], views[other], found[rows])
            seen = occlusion_mask(views[number], views[other], (fitted[rows], fitted[across]))
            colours = warped(views[other], grid)
            photo.append(losses.suitable_photo(views[number].picture, colours, seen, weight[rows]))
            regular.append(losses.suitability(suitable[rows][seen]) if seen.any() else photo[-1])
        return {
            "photo": torch.stack(photo).mean(),
            "suitability": torch.stack(regular).mean(),
            "model": losses.model(found, fitted),
        }


def _halves(count: int) -> tuple[tuple[int, slice], ...]:
    return (0, slice(0, count)), (1, slice(count, 2 * count))


def _views_first(values: torch.Tensor, channels: int) -> torch.Tensor:
    """(N, 2·C, H, W) → (2·N, C, H, W), all first views before all second ones."""
    return values.unflatten(1, (2, channels)).transpose(0, 1).flatten(0, 1)


def _view(batch: Batch, pictures: torch.Tensor, number: int) -> View:
    return View(
        picture=pictures,
        intrinsics=batch["pair_intrinsics"][:, number].float().view(-1, 3, 3),
        camera_from_head=batch["pair_camera_from_head"][:, number].float().view(-1, 4, 4),
        tip_mm=batch["pair_tip_mm"][:, number].float(),
        side_px=torch.full((len(pictures),), float(SIZE), device=pictures.device),
        ray=batch["pair_ray"][:, number].float(),
    )


def _added(
    terms: dict[str, torch.Tensor], more: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    return terms | {name: terms[name] + v if name in terms else v for name, v in more.items()}


def predicted(network: nn.Module, data: PreparedSet, rows: np.ndarray) -> np.ndarray:
    """Run a network on the middles of samples of a set: (n, S, S) float32 normalised depth."""
    place = next(network.parameters()).device
    examples = [FaceDepthTraining().example(data, int(row), None) for row in rows]
    picture = np.stack([one["picture"] for one in examples]).transpose(0, 3, 1, 2)
    face = np.stack([one["face_depth"] for one in examples]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        found = network(
            torch.from_numpy(picture).to(place).float() / 255, torch.from_numpy(face).to(place)
        )
    return found[:, 0].float().cpu().numpy()


def picture_errors(
    found: np.ndarray, data: PreparedSet, rows: np.ndarray
) -> list[tuple[float, float]]:
    """Return for each sample the error of the network and of the fit, % of the depth range."""
    result = []
    for depth, row in zip(found, rows, strict=True):
        one = FaceDepthTraining().example(data, int(row), None)
        fitted = np.where(one["face_depth"][..., 1] > 0, one["face_depth"][..., 0], np.nan)
        face = np.isin(one["labels"], FACE) & np.isfinite(fitted)
        true = np.where(np.isfinite(one["depth"]), one["depth"], np.nan)
        errors = [depth_error(value, true, face, face) for value in (depth, fitted)]
        result.append((errors[0], errors[1]))
    return result


def lit_surface(value: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Light the surface of (S, S) normalised depth from the upper left: (S, S, 3) uint8."""
    finite = torch.from_numpy(np.where(np.isfinite(value), value, 0).astype(np.float32))
    normal = losses.normals_of(finite[None], abs(GAIN) / value.shape[0])[0].numpy()
    normal = np.pad(normal, ((0, 0), (0, 1), (0, 1)), mode="edge")
    light = np.array([-0.45, -0.55, 0.7])
    shade = np.clip((normal * light[:, None, None]).sum(axis=0), 0, 1)
    grey = (np.where(inside, 40 + 200 * shade, 0)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
