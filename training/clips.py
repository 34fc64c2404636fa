"""Pairs of real frames of one person, for learning without labels.

    python -m training.clips FOLDER --out DIR [--size 256] [--per-clip 20]

Clips run through the live path's own tracker, fitter and person mask. Two frames make a pair
when they show one person, in one scene, with heads turned differently or other expressions.
Before a blue or cyan backdrop the mask comes from its colour, otherwise from the person network.
The program writes a contact sheet and prints counts.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stream.composite import head_region
from stream.errors import UserError
from stream.fit import HeadFitter
from stream.frame import Face, Frame, Head
from stream.geometry import angles_from_rotation
from stream.head_model import HeadModel, load_head_model
from stream.media import open_source
from stream.region import Region
from stream.segment import PersonSegmenter
from stream.track import FaceTracker
from training.clip_masks import above_chin, chroma_key_mask, person_mask
from training.evaluate_fit import point_errors_px

__all__ = ["ClipPair", "ClipView", "choose_pairs", "chroma_key_mask", "clip_files", "clip_pairs"]

SUFFIXES = (".mp4", ".mpg", ".gif", ".mov", ".mkv", ".avi", ".webm", ".m4v")
_EYE_CORNERS = (33, 263)
_LEAST_YAW_DEG = 5.0
_LEAST_EXPRESSION = 0.25  # of one face unit
_MOST_ERROR = 0.08  # of the distance of the eye corners: a worse fit is no truth
_LEAST_EYES_PX = 14.0
_LEAST_LIGHT = 40  # of the brightest channel on the face, 0…255
_THUMBNAIL, _SCENE_CHANGE = (32, 24), 8.0  # pixels; mean change of grey from frame to frame
_MOST_RECORDS = 240  # frames of a clip that are looked at for pairs, evenly spread


@dataclass(frozen=True, slots=True)
class ClipView:
    """One frame of a person, cut to a square.

    Attributes:
        pixels: (S, S, 3) uint8 RGB.
        points478_px: (478, 3) float32 tracked points; x, y in pixels of the crop, z in the same
            scale, as in `Face`.
        camera_from_head: (4, 4) float64 fitted pose, mm.
        intrinsics: (3, 3) float64 of the crop.
        identity: (80,) float32 coefficients of the head model.
        expression: (52,) float32 face units.
        head_mask: (S, S) float32 0…1: head with hair, fading out below the chin.
        person_mask: (S, S) float32 0…1: the whole person; 0 beyond the frame.
        in_frame: (S, S) bool, where the crop lies in the frame; beyond, pixels only go on.
        crop_from_frame: (3, 3) float64; both views of a pair have the same one.
        index: number of the frame in the clip.
        time_s: its time.
        keyed: whether the masks come from a backdrop's colour.
    """

    pixels: np.ndarray
    points478_px: np.ndarray
    camera_from_head: np.ndarray
    intrinsics: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    head_mask: np.ndarray
    person_mask: np.ndarray
    in_frame: np.ndarray
    crop_from_frame: np.ndarray
    index: int
    time_s: float
    keyed: bool


@dataclass(frozen=True, slots=True)
class ClipPair:
    """Two frames of one person.

    Attributes:
        first: the one view.
        second: the other.
        clip: name of the clip.
        yaw_deg: how much the second is turned against the first, to the right of the picture.
        expression_change: largest difference of one face unit.
    """

    first: ClipView
    second: ClipView
    clip: str
    yaw_deg: float
    expression_change: float

    @property
    def times_s(self) -> tuple[float, float]:
        """Times of both frames in the clip."""
        return self.first.time_s, self.second.time_s


@dataclass(frozen=True, slots=True)
class _Record:
    """A well fitted face of one frame."""

    index: int
    time_s: float
    scene: int
    face: Face
    head: Head
    size: tuple[int, int]

    @property
    def yaw(self) -> float:
        return float(angles_from_rotation(self.head.camera_from_head[:3, :3])[0])


def clip_pairs(
    clips: Path | Sequence[Path],
    size: int = 256,
    per_clip: int = 20,
    rng: np.random.Generator | None = None,
) -> Iterator[ClipPair]:
    """Cut pairs out of clips.

    Args:
        clips: a folder, or files.
        size: side of the crops, pixels.
        per_clip: most pairs of a clip.
        rng: source of chance; the same pairs each time when absent.

    Yields:
        Pairs, clip by clip, in order of time.

    Raises:
        UserError: if there is no clip, or one cannot be read.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    model = load_head_model()
    with FaceTracker() as tracker, PersonSegmenter() as segmenter:
        for path in clip_files(clips):
            records = _thinned(list(_records(path, model, tracker)))
            chosen = choose_pairs(records, per_clip, rng)
            yield from _cut(path, chosen, size, (model, segmenter))


def clip_files(clips: Path | Sequence[Path]) -> list[Path]:
    """List the clips of a folder, or the files themselves.

    Raises:
        UserError: if a file is absent or there is none.
    """
    if isinstance(clips, Path) and clips.is_dir():
        found = sorted(p for p in clips.iterdir() if p.suffix.lower() in SUFFIXES)
        if not found:
            raise UserError("No clips", f"{clips} holds no video", "Name a folder of videos.")
        return found
    files = [clips] if isinstance(clips, Path) else list(clips)
    for path in files:
        if not path.is_file():
            raise UserError(f"{path.name} cannot be read", "no such file", "Name a video file.")
    return files


# --- finding pairs ------------------------------------------------------------------------------


def _frames(path: Path) -> Iterator[Frame]:
    with open_source(str(path)) as source:
        yield from source


def _records(path: Path, model: HeadModel, tracker: FaceTracker) -> Iterator[_Record]:
    """Track and fit a clip, and give the frames whose fit is good."""
    fitter, scene, before = HeadFitter(model), 0, None
    tracker.reset()
    for frame in _frames(path):
        faces = tracker.track(frame)
        now = _thumbnail(frame.pixels)
        # A pair of two people would teach what is wrong, so less than a cut ends a scene here.
        jumped = before is not None and float(np.abs(now - before).mean()) > _SCENE_CHANGE
        before = now
        if tracker.cut or jumped:
            fitter.reset()
            scene += 1
        for face in faces[:1]:
            head = fitter.fit(face, frame.size, frame.time_s)
            if _is_good(model, face, head) and _is_lit(frame.pixels, face):
                yield _Record(frame.index, frame.time_s, scene, face, head, frame.size)


def _is_good(model: HeadModel, face: Face, head: Head) -> bool:
    right, left = (face.points_px[corner] for corner in _EYE_CORNERS)
    eyes_px = float(np.linalg.norm(left - right))  # with depth: does not shrink with a turn
    error = float(point_errors_px(model, head, face).mean())
    seen = face.fresh and face.presence == 1.0
    return seen and eyes_px >= _LEAST_EYES_PX and error < _MOST_ERROR * eyes_px


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    small = cv2.resize(pixels, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _is_lit(pixels: np.ndarray, face: Face) -> bool:
    x, y = np.clip(face.points_px[:, :2], 0, np.array(pixels.shape[1::-1]) - 1).astype(int).T
    return bool(np.median(pixels[y, x].max(1)) >= _LEAST_LIGHT)


def _thinned(records: list[_Record]) -> list[_Record]:
    return records[:: -(-len(records) // _MOST_RECORDS)] if records else records


def choose_pairs(
    records: Sequence[_Record], count: int, rng: np.random.Generator
) -> list[tuple[_Record, _Record]]:
    """Draw pairs of frames that differ enough; larger differences are likelier.

    Args:
        records: of one clip, in order.
        count: most pairs.
        rng: source of chance.

    Returns:
        Pairs in order of their earlier frame; which of the two comes first is drawn.
    """
    if len(records) < 2:
        return []
    scene = np.array([(one.scene, one.face.id) for one in records])
    yaw = np.array([one.yaw for one in records])
    units = np.array([one.head.expression for one in records])
    a, b = np.triu_indices(len(records), 1)
    turn = np.abs(yaw[a] - yaw[b])
    change = np.abs(units[a] - units[b]).max(1)
    fits = (scene[a] == scene[b]).all(1)
    fits &= (turn >= _LEAST_YAW_DEG) | (change >= _LEAST_EXPRESSION)
    a, b, turn, change = a[fits], b[fits], turn[fits], change[fits]
    if len(a) == 0:
        return []
    weight = np.clip(turn / 10.0, 0, 3) + np.clip(change, 0, 1) + 0.05
    take = min(count, len(a))
    drawn = np.sort(rng.choice(len(a), take, replace=False, p=weight / weight.sum()))
    swap = rng.random(take) < 0.5
    return [
        (records[b[n]], records[a[n]]) if turned else (records[a[n]], records[b[n]])
        for n, turned in zip(drawn, swap, strict=True)
    ]


# --- cutting ------------------------------------------------------------------------------------


def _cut(
    path: Path,
    chosen: Sequence[tuple[_Record, _Record]],
    size: int,
    parts: tuple[HeadModel, PersonSegmenter],
) -> Iterator[ClipPair]:
    wanted = {one.index for pair in chosen for one in pair}
    frames = _frames(path) if wanted else ()
    kept = {frame.index: frame.pixels for frame in frames if frame.index in wanted}
    for pair in chosen:
        crop_from_frame = square_crop([head_region(one.head, one.size) for one in pair], size)
        masks = [
            person_mask(kept[one.index], one.head, _seen(crop_from_frame, one, size), parts)
            for one in pair
        ]
        first, second = (
            _view(one, kept[one.index], mask, crop_from_frame, size)
            for one, mask in zip(pair, masks, strict=True)
        )
        change = np.abs(first.expression - second.expression).max()
        yield ClipPair(first, second, path.name, pair[1].yaw - pair[0].yaw, float(change))


def _seen(crop_from_frame: np.ndarray, record: _Record, size: int) -> Region:
    """The part of the frame that a crop shows."""
    scale, shift = crop_from_frame[0, 0], crop_from_frame[:2, 2]
    low, high = np.floor(-shift / scale).astype(int), np.ceil((size - shift) / scale).astype(int)
    return Region(*low.tolist(), *high.tolist()).clipped(*record.size)


def square_crop(regions: Iterable[Region], size: int) -> np.ndarray:
    """Return the (3, 3) crop_from_frame of the least square that holds all regions."""
    every = np.array([list(region) for region in regions], np.float64)
    low, high = every[:, :2].min(0), every[:, 2:].max(0)
    scale = size / float((high - low).max())
    shift = size / 2 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])


def _view(
    record: _Record,
    pixels: np.ndarray,
    mask: tuple[np.ndarray, bool],
    crop_from_frame: np.ndarray,
    size: int,
) -> ClipView:
    head, scale = record.head, crop_from_frame[0, 0]
    points = record.face.points_px * np.float32(scale)
    points[:, :2] += crop_from_frame[:2, 2].astype(np.float32)
    intrinsics = crop_from_frame @ head.camera
    inside = _warped(np.ones(pixels.shape[:2], np.float32), crop_from_frame, size, outside=0.0)
    person = _warped(mask[0], crop_from_frame, size) * (inside > 0.5)
    share = above_chin(head.camera_from_head, intrinsics, points, size)
    return ClipView(
        pixels=_warped(pixels, crop_from_frame, size),
        points478_px=points,
        camera_from_head=head.camera_from_head,
        intrinsics=intrinsics,
        identity=head.identity,
        expression=head.expression,
        head_mask=person * share,
        person_mask=person,
        in_frame=inside > 0.5,
        crop_from_frame=crop_from_frame,
        index=record.index,
        time_s=record.time_s,
        keyed=mask[1],
    )


def _warped(
    picture: np.ndarray, crop_from_frame: np.ndarray, size: int, outside: float | None = None
) -> np.ndarray:
    """Resample a picture of the frame; where the frame ends its border goes on, or a value."""
    scale = crop_from_frame[0, 0]
    if scale < 0.6:  # averaged first, so that no detail aliases
        picture = cv2.GaussianBlur(picture, (0, 0), 0.35 / scale)
    matrix = crop_from_frame[:2].copy()
    matrix[:, 2] += 0.5 * scale - 0.5  # pixel centres at +0.5
    flags = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    flags = cv2.INTER_LINEAR if picture.ndim == 2 else flags
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(
        picture, matrix, (size, size), flags=flags, borderMode=border, borderValue=outside or 0
    )


# --- the program --------------------------------------------------------------------------------


def _cell(view: ClipView) -> list[np.ndarray]:
    """The crop, its fitted points, its head on magenta, and its mask."""
    marked = view.pixels.copy()
    for x, y in view.points478_px[:, :2]:
        cv2.circle(marked, (round(float(x) - 0.5), round(float(y) - 0.5)), 0, (0, 255, 0), -1)
    mask = view.person_mask[..., None]
    cut = view.pixels * mask + np.array([255, 0, 255], np.float32) * (1 - mask)
    head = np.repeat(255 * view.head_mask[..., None], 3, axis=2)
    return [view.pixels, marked, cut.astype(np.uint8), head.astype(np.uint8)]


def pair_row(pair: ClipPair) -> np.ndarray:
    """Lay out both views of a pair side by side: (S, 8 · S, 3) uint8."""
    row = np.hstack([*_cell(pair.first), *_cell(pair.second)])
    text = f"{pair.clip} {pair.yaw_deg:+.0f} deg, {pair.expression_change:.2f}"
    cv2.putText(row, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
    return row


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of clips, or one clip")
    parser.add_argument("--out", type=Path, required=True, help="folder of the contact sheet")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--per-clip", type=int, default=20)
    parser.add_argument("--rows", type=int, default=2, help="pairs of a clip on the sheet")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    rows = []
    for path in clip_files(options.folder):
        pairs = list(clip_pairs([path], options.size, options.per_clip, rng))
        turned = [abs(pair.yaw_deg) for pair in pairs]
        far = sum(turn >= _LEAST_YAW_DEG for turn in turned)
        keyed = sum(pair.first.keyed for pair in pairs)
        print(
            f"{path.name:40} {len(pairs):3} pairs, {far:3} turned "
            f"(most {max(turned, default=0):.0f} degrees), {keyed:3} keyed",
            flush=True,
        )
        rows += [pair_row(pair) for pair in pairs[:: max(1, len(pairs) // options.rows)]][
            : options.rows
        ]
    if rows:
        cv2.imwrite(str(options.out / "clips.png"), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
