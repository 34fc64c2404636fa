"""Figures 1 (right), 2 and 3 of the paper, drawn from trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.affine import apply_affine, lift, solve_affine
from training.depthnets.models import MODELS, answers, load_depthnet
from training.depthnets.tables import Bench, cross_pairs, thirds
from training.depthnets.train import aign_depth, load_aign

if TYPE_CHECKING:
    from pathlib import Path

    from training.depthnets.keypoints import KeypointSet

_CELL, _EDGE = 260, 34
_FITTED = "DepthNet, fitted"
_DEPTH_RANGE = 0.42  # of the side of the crop, from the nearest to the farthest


def estimated_depths(bench: Bench) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Let every model estimate the test faces of `thirds`, each as source of all others.

    Returns:
        By model: (N, K) estimates and (N, K) true depths, one row a pair or a face.
    """
    faces = np.concatenate(thirds(bench.test))
    if bench.test.depth is None:
        raise ValueError("the figures need true depth")
    first, second = cross_pairs(faces, faces)
    found = {}
    judge = bench.config.judge or 0.2
    kinds = {"DepthNet": bench.network(7), "DepthNet + GAN": bench.network(7, judge=judge)}
    for name, checkpoint in kinds.items():
        told = answers(MODELS[7], load_depthnet(checkpoint)[0], bench.test, first, second)
        if told.depth is not None:
            found[name] = told.depth, bench.test.depth[first]
            if name == "DepthNet":
                best = fitted(bench.test.points[first], told.depth, bench.test.depth[first])
                found[_FITTED] = best, bench.test.depth[first]
    aign = aign_depth(load_aign(bench.aign()), bench.test.points[faces])
    found["AIGN"] = aign, bench.test.depth[faces]
    return found


def aligned(estimated: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Give (N, K) estimates the sign and scale of the truth, one for all of them.

    The keypoint loss leaves both open; correlations do not see either.
    """
    return estimated * ((estimated * true).sum() / max((estimated**2).sum(), 1e-12))


def fitted(points: np.ndarray, estimated: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Give every face's estimate the scale and slope that fit its truth best.

    A plane over the keypoints added to the depth, and any factor, leave the keypoint loss of §2.3
    as it is: this shows what it did determine.

    Args:
        points: (N, K, 2).
        estimated: (N, K).
        true: (N, K).
    """
    lifted = lift(points, estimated).astype(np.float64)
    wanted = np.stack([true, true], axis=-1).astype(np.float64)
    return apply_affine(solve_affine(lifted, wanted), lifted)[..., 0]


def figure_2(bench: Bench, path: Path) -> None:
    """Draw heat maps of estimated depth (up) over true depth (to the right)."""
    cells = []
    for name, (estimated, true) in estimated_depths(bench).items():
        values = aligned(estimated, true)
        reach = 1.1 * float(np.abs(true).max())
        counts, _, _ = np.histogram2d(
            values.ravel(), true.ravel(), bins=_CELL, range=[[-reach, reach]] * 2
        )
        shade = np.log1p(counts[::-1])
        grey = (255 * shade / max(shade.max(), 1e-9)).astype(np.uint8)
        cell = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)
        cv2.line(cell, (0, _CELL - 1), (_CELL - 1, 0), (110, 110, 110), 1)
        r = float(np.corrcoef(estimated.ravel(), true.ravel())[0, 1])
        cells.append(_titled(cell, f"{name}  |r| {abs(r):.2f}"))
    _write(path, np.hstack(cells))


def figure_3(bench: Bench, faces: KeypointSet, path: Path, rows: int = 6) -> None:
    """Draw faces with the depth of their keypoints as colour, near red and far blue.

    Args:
        bench: networks and test faces.
        faces: the same test faces with large pictures.
        path: of the picture.
        rows: faces.
    """
    if bench.test.depth is None or faces.pictures is None:
        raise ValueError("figure 3 needs true depth and pictures")
    chosen = np.concatenate([pose[: -(-rows // 3)] for pose in thirds(bench.test)])[:rows]
    front = thirds(bench.test)[1][-1]
    columns = {"ground truth": bench.test.depth[chosen]}
    second = np.full_like(chosen, front)
    judge = bench.config.judge or 0.2
    kinds = {"DepthNet": bench.network(7), "DepthNet + GAN": bench.network(7, judge=judge)}
    for name, checkpoint in kinds.items():
        told = answers(MODELS[7], load_depthnet(checkpoint)[0], bench.test, chosen, second)
        if told.depth is not None:
            true = bench.test.depth[chosen]
            columns[name] = aligned(told.depth, true)
            if name == "DepthNet":
                columns[_FITTED] = fitted(bench.test.points[chosen], told.depth, true)
    columns["AIGN"] = aign_depth(load_aign(bench.aign()), bench.test.points[chosen])
    drawn = [_titled(_stack([_large(faces.pictures[n]) for n in chosen]), "picture")]
    for name, depth in columns.items():
        pairs = zip(chosen, depth, strict=True)
        cells = [_coloured(bench.test.points[n], z) for n, z in pairs]
        drawn.append(_titled(_stack(cells), name))
    _write(path, np.hstack(drawn))


def _coloured(points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    cell = np.full((_CELL, _CELL, 3), 255, np.uint8)
    shade = np.clip((0.5 - depth / _DEPTH_RANGE) * 255, 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(shade[:, None], cv2.COLORMAP_JET)[:, 0]
    for number in np.argsort(-depth):  # the near ones last, on top
        x, y = ((points[number] + 0.5) * _CELL).astype(int).tolist()
        cv2.circle(cell, (x, y), 5, colours[number].tolist(), -1, cv2.LINE_AA)
    return cell


def _large(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture[..., ::-1], (_CELL, _CELL), interpolation=cv2.INTER_CUBIC)


def _stack(cells: list[np.ndarray]) -> np.ndarray:
    return np.vstack(cells)


def _titled(cell: np.ndarray, words: str) -> np.ndarray:
    head = np.full((_EDGE, cell.shape[1], 3), 255, np.uint8)
    place = (6, 23)
    cv2.putText(head, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    framed = np.vstack([head, cell])
    framed[:, -2:] = 255
    return framed


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
