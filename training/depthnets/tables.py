"""Tables 1, 2 and 3 of the paper, on faces whose depth is known, beside the paper's figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.affine import apply_affine, lift, solve_affine
from stream.errors import UserError
from training.depthnets.measure import depth_corr, mse, mse_norm, squared_errors
from training.depthnets.models import (
    MODELS,
    answers,
    load_depthnet,
    mean_face,
    registered_plane,
    registered_template,
)
from training.depthnets.train import (
    TrainConfig,
    aign_depth,
    load_aign,
    train_aign,
    train_depthnet,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.depthnets.keypoints import KeypointSet

POSES = ("Left", "Front", "Right")
PER_POSE = 75
_FURTHER = 20  # the networks of Table 1 begin alike; then each trains this part longer
# Table 2 of the paper: rows are the source's pose, columns the target's, then their mean.
PAPER_TABLE_2 = {
    "DepthNet": ((24.67, 27.71, 29.70, 27.36), (25.54, 27.22, 26.19, 26.32),
                 (21.66, 21.48, 23.87, 22.34)),
    "DepthNet + GAN": ((59.78, 59.67, 59.63, 59.69), (58.77, 58.67, 58.61, 58.68),
                       (59.97, 59.70, 59.60, 59.76)),
}  # fmt: skip
# Table 3: MSE and its spread in 1e-5 of the squared side of the crop, then DepthCorr by pose.
PAPER_TABLE_3 = {
    "GT depth": ((8.86, 6.55), (66, 66, 66)),
    "AIGN": ((9.06, 6.61), (44.08, 50.81, 49.04)),
    "MOFA": ((8.75, 6.33), (11.14, 15.97, 17.54)),
    "DepthNet": ((7.65, 6.97), (27.36, 26.32, 22.34)),
    "DepthNet + GAN": ((8.74, 6.24), (59.69, 58.68, 59.76)),
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table and what its rows say.

    Attributes:
        text: it in Markdown, with the paper's figures and the data named.
        figures: the same as numbers.
    """

    text: str
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """Faces to learn from and to measure on, and where networks are kept.

    Attributes:
        train: faces that networks learn from.
        test: other people, with known depth.
        folder: of checkpoints; what is missing there is trained.
        config: how.
        log: takes lines.
    """

    train: KeypointSet
    test: KeypointSet
    folder: Path
    config: TrainConfig
    log: Callable[[str], None] = print

    def network(self, number: int, *, judge: float = 0.0) -> Path:
        """Return the checkpoint of a model, trained now if need be."""
        learned = MODELS[number].learned_by
        path = self.folder / f"model{learned}{'_gan' if judge else ''}.pt"
        if path.is_file():
            return path
        config = replace(self.config, judge=judge)
        if self.config.pairs == "same":
            config = self._continued()
        self.log(f"training model {learned}{' with a judge of depths' if judge else ''}")
        return train_depthnet(learned, self.train, self.test, config, self.folder, self.log)

    def _continued(self) -> TrainConfig:
        """Return how the networks of Table 1 go on from one common beginning, trained if need be.

        The table asks what pictures and the solution inside of the loss add. So all four begin
        as model 3 and then train for as many steps, each in its own way.
        """
        start = self.folder / "base" / "model3.pt"
        if not start.is_file():
            self.log("training the common beginning")
            bare = replace(self.train, pictures=None), replace(self.test, pictures=None)
            train_depthnet(3, *bare, self.config, start.parent, self.log)
        further = max(1, self.config.steps // _FURTHER)
        return replace(
            self.config, steps=further, rate=self.config.rate / 5, start=start,
            batch=min(self.config.batch, 128),
        )  # fmt: skip

    def aign(self) -> Path:
        """Return the checkpoint of AIGN, trained now if need be."""
        path = self.folder / "aign.pt"
        if not path.is_file():
            self.log("training AIGN")
            config = replace(self.config, batch=min(self.config.batch, 64))
            train_aign(self.train, config, self.folder, self.log)
        return path


# --- table 1 ------------------------------------------------------------------------------------


def table_1(bench: Bench, numbers: tuple[int, ...] = tuple(MODELS)) -> Table:
    """Measure the models on every pair of faces of one person.

    Args:
        bench: faces and checkpoints; pictures are needed for models 4, 6 and 8.
        numbers: which models.
    """
    test = bench.test
    first, second = all_pairs_of_one_person(test)
    source, target = test.points[first], test.points[second]
    rows, figures = [], {}
    for number in numbers:
        model = MODELS[number]
        if number == 1:
            told = registered_plane(source, target)
        elif number == 2:
            told = registered_template(mean_face(bench.train), source, target)
        else:
            network, _ = load_depthnet(bench.network(number))
            told = answers(model, network, test, first, second)
        found = (mse(told.placed, target), mse_norm(told.placed, target))
        figures[str(number)] = {"mse": found[0], "mse_norm": found[1]}
        rows.append(
            f"| {number} | {model.words} | {found[0]:.3f} | {found[1]:.3f} "
            f"| {model.paper[0]:.3f} | {model.paper[1]:.3f} |"
        )
    for name, error in bounds(test, first, second).items():
        figures[name] = {"mse": error}
        rows.append(f"| | *{name}* | {error:.3f} | | | |")
    text = "\n".join(
        [
            f"**Table 1.** {len(first)} pairs of one person out of {test.name}, {test.size} points;"
            f" trained on {bench.train.name}. MSE in squared pixels of an 80×80 crop, MSE_norm in %"
            " of the distance of the eyes. Paper: VGG-Face, 43,940 pairs.",
            "",
            "| | model | MSE | MSE_norm | paper MSE | paper MSE_norm |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
        ]
    )
    return Table(text, {"pairs": len(first), "data": test.name, "models": figures})


def all_pairs_of_one_person(faces: KeypointSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of sources and targets of all ordered pairs of one person.

    Raises:
        UserError: if every person has but one face.
    """
    first, second = [], []
    for person in np.unique(faces.person):
        members = np.flatnonzero(faces.person == person)
        a, b = np.meshgrid(members, members, indexing="ij")
        apart = a != b
        first.append(a[apart])
        second.append(b[apart])
    pairs = np.concatenate(first), np.concatenate(second)
    if not len(pairs[0]):
        raise UserError("no pairs of one person", "each has a single face", "Give other faces.")
    return pairs


def bounds(faces: KeypointSet, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Return MSEs that frame the models': with true depth, and with the best depth there is.

    The best is known in closed form: what a plane affine leaves of the target, (2, K), is matched
    by depth along one direction of the picture; its lesser singular value stays.
    """
    source, target = faces.points[first], faces.points[second]
    found = {}
    if faces.depth is not None:
        lifted = lift(source, faces.depth[first])
        found["true depth, eq. 3"] = mse(apply_affine(solve_affine(lifted, target), lifted), target)
    rest = target - registered_plane(source, target).placed
    least = np.linalg.svd(rest, compute_uv=False)[:, 1] ** 2 / (2 * faces.size)
    found["best possible depth, eq. 3"] = mse(np.sqrt(least)[:, None, None], np.zeros((1, 1, 1)))
    return found


# --- tables 2 and 3 -----------------------------------------------------------------------------


def thirds(faces: KeypointSet, count: int = PER_POSE, seed: int = 0) -> list[np.ndarray]:
    """Choose faces that look to the left, to the front and to the right of the picture.

    The faces are parted into thirds by their turn; out of each, `count` are drawn, of different
    people where there are enough.

    Returns:
        Three arrays of face numbers.

    Raises:
        UserError: if turns are not known, or there are too few faces.
    """
    if faces.yaw_deg is None or len(faces) < 3 * count:
        raise UserError(
            "no left, front and right faces can be chosen",
            "turns are not known, or there are too few faces",
            f"Give at least {3 * count} faces of synthetic people or clips.",
        )
    rng = np.random.default_rng(seed)
    parts = np.array_split(np.argsort(faces.yaw_deg, kind="stable"), 3)
    chosen, used = [], set()
    for part in parts:
        drawn = rng.permutation(part)
        fresh = [n for n in _one_a_person(faces, drawn) if faces.person[n] not in used]
        rest = [n for n in drawn if n not in set(fresh)]
        picked = np.array([*fresh, *rest][:count])
        used |= set(faces.person[picked].tolist())
        chosen.append(picked)
    return chosen


def _one_a_person(faces: KeypointSet, numbers: np.ndarray) -> list[int]:
    _, first = np.unique(faces.person[numbers], return_index=True)
    return numbers[np.sort(first)].tolist()


def cross_pairs(sources: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every source with every target but itself."""
    a, b = np.meshgrid(sources, targets, indexing="ij")
    apart = a != b
    return a[apart], b[apart]


def _pose_grid(bench: Bench, checkpoint: Path, poses: list[np.ndarray]) -> np.ndarray:
    """DepthCorr of a network for each source pose and target pose, (3, 3)."""
    true = _true_depth(bench.test)
    network, _ = load_depthnet(checkpoint)
    grid = np.zeros((3, 3))
    for row, column in np.ndindex(3, 3):
        first, second = cross_pairs(poses[row], poses[column])
        told = answers(MODELS[7], network, bench.test, first, second)
        if told.depth is not None:
            grid[row, column] = depth_corr(told.depth, true[first])
    return grid


def _true_depth(faces: KeypointSet) -> np.ndarray:
    if faces.depth is None:
        raise UserError("DepthCorr needs true depth", f"{faces.name} have none", "Give others.")
    return faces.depth


def _networks(bench: Bench) -> dict[str, Path]:
    judge = bench.config.judge or 0.2
    return {"DepthNet": bench.network(7), "DepthNet + GAN": bench.network(7, judge=judge)}


def table_2(bench: Bench) -> Table:
    """DepthCorr by poses of source and target, without and with the judge of depths."""
    poses = thirds(bench.test)
    rows, figures = [], {}
    for name, checkpoint in _networks(bench).items():
        grid = _pose_grid(bench, checkpoint, poses)
        figures[name] = grid.tolist()
        for pose, values, paper in zip(POSES, grid, PAPER_TABLE_2[name], strict=True):
            ours = " | ".join(f"{x:.2f}" for x in (*values, values.mean()))
            theirs = " | ".join(f"{x:.2f}" for x in paper)
            rows.append(f"| {name} | {pose} | {ours} | {theirs} |")
    head = " | ".join([*POSES, "Avg", *(f"paper {x}" for x in (*POSES, "Avg"))])
    text = "\n".join(
        [
            f"**Table 2.** DepthCorr (at most {bench.test.size}) by pose of the source (rows) and"
            f" of the target; {_thirds_words(bench)}. Paper: 3DFAW, 66 points.",
            "",
            f"| model | source | {head} |",
            "| --- " * 10 + "|",
            *rows,
        ]
    )
    return Table(text, {"data": bench.test.name, "depth_corr": figures})


def _thirds_words(bench: Bench) -> str:
    return (
        f"{3 * PER_POSE} faces out of the left, front and right thirds of {bench.test.name}; "
        f"trained on pairs of different people out of {bench.train.name}"
    )


def table_3(bench: Bench) -> Table:
    """MSE over all pairs of the test faces, and DepthCorr by the source's pose."""
    poses, true = thirds(bench.test), _true_depth(bench.test)
    everyone = np.concatenate(poses)
    first, second = cross_pairs(everyone, everyone)
    target = bench.test.points[second]
    singles = {"GT depth": true, "AIGN": aign_depth(load_aign(bench.aign()), bench.test.points)}
    found: dict[str, tuple[np.ndarray, list[float]]] = {}
    for name, depth in singles.items():
        lifted = lift(bench.test.points[first], depth[first])
        placed = apply_affine(solve_affine(lifted, target), lifted)
        corr = [depth_corr(depth[pose], true[pose]) for pose in poses]
        found[name] = squared_errors(placed, target), corr
    for name, checkpoint in _networks(bench).items():
        network, _ = load_depthnet(checkpoint)
        placed = answers(MODELS[7], network, bench.test, first, second).placed
        corr = _pose_grid(bench, checkpoint, poses).mean(1).tolist()
        found[name] = squared_errors(placed, target), corr
    return _written_table_3(bench, found)


def _written_table_3(bench: Bench, found: dict[str, tuple[np.ndarray, list[float]]]) -> Table:
    rows, figures = [], {}
    for name, (paper_mse, paper_corr) in PAPER_TABLE_3.items():
        ours = "not run | | | "
        if name in found:
            errors, corr = found[name]
            told = " | ".join(f"{x:.2f}" for x in corr)
            ours = f"{errors.mean() * 1e5:.2f} ± {errors.std() * 1e5:.2f} | {told}"
            figures[name] = {"mse_1e-5": float(errors.mean() * 1e5), "depth_corr": corr}
        theirs = " | ".join(f"{x:.2f}" for x in paper_corr)
        rows.append(f"| {name} | {ours} | {paper_mse[0]:.2f} ± {paper_mse[1]:.2f} | {theirs} |")
    head = " | ".join(["MSE ×10⁻⁵", *POSES, "paper MSE", *(f"paper {x}" for x in POSES)])
    text = "\n".join(
        [
            f"**Table 3.** MSE in 10⁻⁵ of the squared side of the crop and DepthCorr; all pairs of"
            f" {_thirds_words(bench)}. Paper: 3DFAW, 66 points. MOFA is a network of other"
            " authors, who ran it themselves for the paper; it is not run here.",
            "",
            f"| model | {head} |",
            "| --- " * 9 + "|",
            *rows,
        ]
    )
    return Table(text, {"data": bench.test.name, "models": figures})
