"""Cross-frame: turn frame A of a real clip to the pose of frame B and compare with B."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from tyro.conf import OmitArgPrefixes

from stream.errors import UserError
from stream.networks import NetworkSettings
from training.evaluate_repose import media, program, report
from training.evaluate_repose.baselines import thin_plate
from training.evaluate_repose.faces import crossframe_module
from training.evaluate_repose.options import Clips

BASELINES = ("copy", "affine", "thin-plate")
NETWORKS = tuple(field.name for field in fields(NetworkSettings))
PRODUCT = {  # method: networks that it goes without
    "voltface": (),
    "analytic": NETWORKS,
    **{f"without-{name}": (name,) for name in NETWORKS},
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two frames of one person with heads turned differently and like expressions.

    Attributes:
        name: clip, number and direction.
        source: picture file of frame A.
        goal: picture file of frame B.
        turn_deg: difference of yaw, as Face Mesh's depth has it.
    """

    name: str
    source: Path
    goal: Path
    turn_deg: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Which pairs of a clip are taken.

    Attributes:
        step: look at every step-th frame.
        count: at most so many pairs, best first.
        both: also turn B to A.
        max_turn: leave out pairs whose yaw differs by more degrees.
    """

    step: int = 5
    count: int = 4
    both: bool = False
    max_turn: float = 180.0


def find_pairs(clip: Path, cache: Path, choice: Choice) -> list[Pair]:
    """Pick pairs of a clip and keep them as PNG files, which later calls find again.

    Raises:
        UserError: if the clip is absent.
    """
    folder = cache / f"{clip.stem}_{choice.step}_{choice.count}_{choice.max_turn:g}"
    turns = folder / "turns.txt"
    if not turns.is_file():
        if not clip.is_file():
            raise UserError(f"{clip.name} is absent", "no such file", "Name a clip.")
        folder.mkdir(parents=True, exist_ok=True)
        # With a limit on the turn, more candidates are needed to choose from.
        wanted = choice.count if choice.max_turn >= 180.0 else 1000
        found = crossframe_module().pairs(str(clip), step=choice.step, count=wanted)
        found = [pair for pair in found if pair[2] <= choice.max_turn][: choice.count]
        for number, (a, b, _) in enumerate(found):
            media.write_picture(folder / f"{number}a.png", a[..., ::-1])
            media.write_picture(folder / f"{number}b.png", b[..., ::-1])
        turns.write_text("\n".join(f"{turn:.3f}" for _, _, turn in found))
    pairs = []
    for number, turn in enumerate(turns.read_text().split()):
        a, b = folder / f"{number}a.png", folder / f"{number}b.png"
        pairs.append(Pair(f"{clip.stem} {number}", a, b, float(turn)))
        if choice.both:
            pairs.append(Pair(f"{clip.stem} {number} back", b, a, float(turn)))
    return _without_repeats(pairs)


def _without_repeats(pairs: Sequence[Pair]) -> list[Pair]:
    """Drop pairs that turn the same picture to the same pose as an earlier one."""
    seen: dict[tuple[bytes, bytes], Pair] = {}
    for pair in pairs:
        seen.setdefault((pair.source.read_bytes(), pair.goal.read_bytes()), pair)
    return list(seen.values())


def re_pose(pair: Pair, method: str, folder: Path) -> np.ndarray | None:
    """Return A in the pose of B as RGB, or None where the program refuses the picture.

    Args:
        pair: A and B.
        method: one of `BASELINES` or `PRODUCT`.
        folder: for what the program writes.
    """
    source, goal = media.read_picture(pair.source), media.read_picture(pair.goal)
    if method in PRODUCT:
        target = folder / f"{pair.name.replace(' ', '_')}_{method}.png"
        off = program.without(PRODUCT[method], folder) if PRODUCT[method] else []
        try:
            program.repose(pair.source, target, ["--like", str(pair.goal), *off])
        except UserError as error:
            print(f"{pair.name}: {error}")
            return None
        return media.read_picture(target)
    module, a, b = crossframe_module(), source[..., ::-1].copy(), goal[..., ::-1].copy()
    if method == "thin-plate":
        return thin_plate(source, module.landmarks(a), module.landmarks(b))
    warp: Callable[[np.ndarray, np.ndarray], np.ndarray] = getattr(module, method)
    return warp(a, b)[..., ::-1].copy()


def score(output: np.ndarray | None, goal: np.ndarray) -> dict[str, float]:
    """Compare an RGB picture with B: SSIM and PSNR in B's head, landmarks (%), silhouette."""
    if output is None:
        return dict.fromkeys(("ssim", "psnr", "nme", "iou"), float("nan"))
    found = crossframe_module().score(output[..., ::-1].copy(), goal[..., ::-1].copy())
    return {name: float(found[name]) for name in ("ssim", "psnr", "nme", "iou")}


def pair_sheet(
    pair: Pair, outputs: dict[str, np.ndarray | None], scores: dict[str, dict[str, float]]
) -> np.ndarray:
    """Lay out A, B and each method's picture, and below |method − B|, with the scores."""
    source, goal = media.read_picture(pair.source), media.read_picture(pair.goal)
    top: list[np.ndarray | None] = [
        report.labelled(source, ["A", f"turn {pair.turn_deg:.0f}"]),
        report.labelled(goal, ["B"]),
    ]
    below: list[np.ndarray | None] = [None, None]
    for method, output in outputs.items():
        lines = [method, *(f"{k} {report.cell(v)}" for k, v in scores[method].items())]
        top.append(None if output is None else report.labelled(output, lines))
        below.append(None if output is None else report.difference(output, goal))
    return report.sheet([top, below])


def run(
    clips: Clips,
    choice: OmitArgPrefixes[Choice] = Choice(),
    methods: tuple[str, ...] = (*BASELINES, "voltface"),
    sheets: Path | None = None,
    json: Path | None = None,
    each: bool = False,
) -> None:
    """Turn frame A of clips to the pose of frame B by several methods and compare with B.

    Args:
        clips: clips whose heads turn.
        choice: which pairs are taken.
        methods: any of copy, affine, thin-plate, voltface, analytic (without any of voltface's
            own networks), and without-NAME (without one of them).
        sheets: folder for a contact sheet for each pair.
        json: write every pair's scores there.
        each: print every pair, not only means.
    """
    cache = Path(tempfile.gettempdir()) / "voltface_crossframe"
    rows: list[dict[str, report.Value]] = []
    means = []
    for clip in clips:
        pairs = find_pairs(clip, cache, choice)
        own: list[dict[str, report.Value]] = []
        # A folder of its own: another run may turn the same pairs at the same time.
        with tempfile.TemporaryDirectory() as folder:
            for pair in report.progress(pairs, clip.name, len(pairs)):
                own += measure_pair(pair, methods, Path(folder), sheets)
        means += method_means(own, methods, f"{clip.stem} ({len(pairs)})")
        rows += own
    report.publish(rows if each else means, None, "cross-frame")
    if json is not None:
        report.save(rows, json, "cross-frame, each pair")


def measure_pair(
    pair: Pair, methods: Sequence[str], folder: Path, sheets: Path | None
) -> list[dict[str, report.Value]]:
    """Run and score every method on a pair; draw its sheet where a folder is named."""
    outputs = {method: re_pose(pair, method, folder) for method in methods}
    goal = media.read_picture(pair.goal)
    scores = {method: score(output, goal) for method, output in outputs.items()}
    if sheets is not None:
        name = f"{pair.name.replace(' ', '_')}.png"
        media.write_picture(sheets / name, pair_sheet(pair, outputs, scores))
    rows: list[dict[str, report.Value]] = []
    for method in methods:
        row: dict[str, report.Value] = {"pair": pair.name, "turn °": round(pair.turn_deg)}
        rows.append(row | {"method": method} | dict(scores[method]))
    return rows


def method_means(
    rows: Sequence[report.Row], methods: Sequence[str], name: str
) -> list[dict[str, report.Value]]:
    """Average the scores of each method, and count the faces that it lost."""
    means = []
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        if own:
            lost = sum(not np.isfinite(float(row["nme"] or 0)) for row in own)
            means.append(report.mean_row(own, pair=name, method=method) | {"lost": lost})
    return means
