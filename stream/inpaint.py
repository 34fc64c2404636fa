"""Fill what was never seen with copied texture: slow work, done beside the live path.

Every hidden pixel takes the colour of the pixel at some shift, where shifts are those at which
the surroundings of the hole resemble other places, and one shift serves large pieces, so that
lines and textures carry on (after He and Sun, Statistics of Patch Offsets for Image Completion,
2012, with growth from the rim in place of their graph cut).
"""

import cv2
import numpy as np

from stream.fill import pull_push

_COARSE_SIZE = 96  # side of a square picture at which shifts are searched
_SHIFT_STEP = 2  # cells between the shifts that are tried at that size
_SHORTEST_SHIFT = 4  # cells
_SHIFT_COUNT = 20  # of each length that go into the fill
_POOR_COST = 3 * 22.0**2  # squared grey levels above which a smooth fill looks better
_RIM_SAMPLES = 300
_OUTSIDE_COST = 3 * 60.0**2  # squared grey levels charged for pixels that cannot be compared
_DETAIL_SHARE = 0.008  # of the longer side: detail of copies is finer than this
_DETAIL_LIMIT = 4.0  # medians of the absolute detail around; stronger detail is clipped
_TRUST_CELLS = 21  # side of the window over which copies are judged
_NOISE = 3 * 1.0**2  # squared grey levels that no copy explains
_REPEATING = 0.05  # share of the variance around that copies leave unexplained in a pattern
_DISTANCE_COST = 2.0  # squared grey levels a cell of shift: near copies look more natural


def complete(
    picture: np.ndarray, hidden: np.ndarray, doubtful: np.ndarray | None = None
) -> np.ndarray:
    """Continue a picture into what is hidden, by copying pieces of it.

    Args:
        picture: (h, w, 3) uint8.
        hidden: (h, w) uint8, nonzero where the picture is not known.
        doubtful: (h, w) uint8, nonzero where nothing may be copied from.

    Returns:
        (h, w, 3) uint8, equal to ``picture`` where it is not hidden, and everywhere if all is.
    """
    height, width = hidden.shape
    hole = (hidden > 0).astype(np.uint8)
    if hole.all():
        return picture.copy()
    barred = hole if doubtful is None else hole | (doubtful > 0).astype(np.uint8)
    if not hole.any() or barred.mean() > 0.95 or min(height, width) < 32:
        return _smooth_fill(picture, hole)
    found = _coarse_shifts(picture, hole, barred)
    if found is None:
        return _smooth_fill(picture, hole)
    shift, poor, coarse_trust = found
    for side in (192, 384):
        if height * width > (side / 1.5) ** 2:
            shift = _refined(picture, hole, barred, shift, side)
    poor = cv2.resize(poor, (width, height), interpolation=cv2.INTER_NEAREST)
    copied = _copied(picture, hole, barred, shift, poor)
    if coarse_trust.min() < 1:
        trust = cv2.resize(coarse_trust, (width, height))[..., None]
        textured = _textured(picture, hole, barred, shift).astype(np.float32)
        copied = (textured + trust * (copied - textured) + 0.5).astype(np.uint8)
    return np.where(hole[..., None] > 0, copied, picture)


def _textured(
    picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Lay the fine texture of the copied pieces over a smooth fill.

    Where a room does not repeat itself, whole things that were copied (half a book, a piece of
    a window) catch the eye more than their absence, so that only detail finer than things, and
    of the contrast usual around the hole, is taken from them. It is taken before it is copied:
    the edges of the pieces are no detail.
    """
    smooth = _smooth_fill(picture, hole)
    sigma = max(picture.shape[:2]) * _DETAIL_SHARE
    fine = smooth.astype(np.float32)
    fine -= cv2.GaussianBlur(fine, (0, 0), sigma)
    usual = _DETAIL_LIMIT * float(np.median(np.abs(fine[hole == 0])))
    shift = _enlarged(shift, (hole.shape[1], hole.shape[0]))
    copied = _taken(fine, shift) * (_taken(1 - barred, shift) > 0)[..., None]
    copied *= 1 - _joints(shift, hole, max(hole.shape) / 384)
    return np.clip(smooth + np.clip(copied, -usual, usual) + 0.5, 0, 255).astype(np.uint8)


def _smooth_fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    filled = pull_push(picture.astype(np.float32), 1 - hole.astype(np.float32))
    filled = np.clip(filled + 0.5, 0, 255).astype(np.uint8)
    return np.where(hole[..., None] > 0, filled, picture)


# --- search -------------------------------------------------------------------------------------


def _reduced(picture: np.ndarray, hole: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at ``side``² cells: (h, w, 3) float32, hidden cells zero; (h, w) uint8 known."""
    height, width = hole.shape
    scale = min(1.0, side / np.sqrt(height * width))
    size = max(2, round(width * scale)), max(2, round(height * scale))
    share = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    known = (share < 0.01).astype(np.uint8)
    return small * known[..., None], known


def _shifted(array: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """``array`` at x + shift; zero outside."""
    dx, dy = shift
    height, width = array.shape[:2]
    out = np.zeros_like(array)
    x0, x1 = max(0, -dx), min(width, width - dx)
    y0, y1 = max(0, -dy), min(height, height - dy)
    if x0 < x1 and y0 < y1:
        out[y0:y1, x0:x1] = array[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
    return out


def _mismatch(
    target: np.ndarray,
    target_known: np.ndarray,
    source: np.ndarray,
    source_known: np.ndarray,
    window: int,
) -> np.ndarray:
    """(h, w) float32 mean squared difference over the known pixels of a window."""
    both = cv2.multiply(target_known, source_known, dtype=cv2.CV_32F)
    difference = cv2.absdiff(target, source)
    squared = cv2.transform(cv2.multiply(difference, difference), np.ones((1, 3), np.float32))
    squared = cv2.min(squared, _OUTSIDE_COST)
    squared = cv2.multiply(squared, both)
    squared += _OUTSIDE_COST * (target_known - both)
    kernel = (window, window)
    count = cv2.blur(target_known.astype(np.float32), kernel)
    return cv2.blur(squared, kernel) / np.maximum(count, 1e-3)


def _coarse_shifts(
    picture: np.ndarray, hole: np.ndarray, barred: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Shifts (h, w, 2) float32 in coarse cells, (h, w) uint8 where they fit badly, and trust."""
    small, known = _reduced(picture, hole, _COARSE_SIZE)
    usable = _reduced(picture, barred, _COARSE_SIZE)[1]
    shifts = _good_shifts(small, known, usable)
    if not shifts:
        return None
    sources = [(s, _shifted(small, s), _shifted(usable, s).astype(np.float32)) for s in shifts]
    labels = _grown_labels(small, known, sources)
    for _ in range(3):
        filled = np.where(known[..., None] > 0, small, _gathered(sources, labels))
        best = _best_label(filled, np.ones_like(known), sources, window=7)
        labels = np.where(known > 0, labels, best)
    poor = _poor_fit(small, known, sources, labels)
    return np.array(shifts, np.float32)[labels], poor, _trust(small, known, sources)


def _trust(small: np.ndarray, known: np.ndarray, sources: list["_Source"]) -> np.ndarray:
    """How well the shifts predict what is known around each cell: 0 (a mere guess) to 1.

    A pattern that repeats is predicted to a few per cent of its variance; an ordinary room,
    whose things stand there once, to 15–40 %; of a plain wall nothing is left to predict, and
    there any copied thing would stand out. Inside the hole, trust carries on from its rim.

    Returns:
        (h, w) float32.
    """
    ring = (cv2.dilate(1 - known, np.ones((9, 9), np.uint8)) & known) > 0
    weight = known.astype(np.float32)
    lowest = np.full(known.shape, _OUTSIDE_COST, np.float32)
    for _, source, valid in sources:
        np.minimum(lowest, _mismatch(small, weight, source, valid, 7), out=lowest)
    share = np.maximum(cv2.blur(weight, (15, 15)), 1e-3)[..., None]
    mean = cv2.blur(small, (15, 15)) / share  # hidden cells are zero
    variance = np.maximum(cv2.blur(small**2, (15, 15)) / share - mean**2, 0).sum(-1)
    counted = ring.astype(np.float32)
    around = (_TRUST_CELLS, _TRUST_CELLS)
    unexplained = cv2.blur(lowest * counted, around) / np.maximum(
        cv2.blur((variance + _NOISE) * counted, around), 1e-3
    )
    return pull_push(np.clip(2 - unexplained / _REPEATING, 0, 1), counted)


def _poor_fit(
    small: np.ndarray, known: np.ndarray, sources: list["_Source"], labels: np.ndarray
) -> np.ndarray:
    """(h, w) uint8: cells of the hole at its rim whose copies do not go on from the rim."""
    weight = known.astype(np.float32)
    beside = (cv2.dilate(known, np.ones((5, 5), np.uint8)) & (1 - known)) > 0
    poor = np.zeros_like(known)
    for label in np.unique(labels[beside]):
        cells = beside & (labels == label)
        _, source, valid = sources[label]
        poor[cells] = _mismatch(small, weight, source, valid, 5)[cells] > _POOR_COST
    return poor


def _grown_labels(small: np.ndarray, known: np.ndarray, sources: list["_Source"]) -> np.ndarray:
    """Fill from the rim inwards, two cells at a time, each with the shift that fits best."""
    filled, done = small.copy(), known.copy()
    labels = np.zeros(known.shape, np.int32)
    while not done.all():
        edge = cv2.dilate(done, np.ones((5, 5), np.uint8)) & (1 - done)
        if not edge.any():
            break
        best = _best_label(filled, done, sources, window=9)
        labels = np.where(edge > 0, best, labels)
        filled = np.where(edge[..., None] > 0, _gathered(sources, best), filled)
        done |= edge
    return labels


_Source = tuple[tuple[int, int], np.ndarray, np.ndarray]


def _best_label(
    filled: np.ndarray, done: np.ndarray, sources: list[_Source], window: int
) -> np.ndarray:
    lowest = np.full(done.shape, np.inf, np.float32)
    labels = np.zeros(done.shape, np.int32)
    weight = done.astype(np.float32)
    for label, (shift, source, valid) in enumerate(sources):
        cost = _mismatch(filled, weight, source, valid, window)
        cost += _DISTANCE_COST * float(np.hypot(*shift)) + 1e6 * (1 - valid)
        better = cost < lowest
        labels[better] = label
        np.minimum(lowest, cost, out=lowest)
    return labels


def _gathered(sources: list[_Source], labels: np.ndarray) -> np.ndarray:
    out = np.zeros((*labels.shape, 3), np.float32)
    for label in np.unique(labels):
        out[labels == label] = sources[label][1][labels == label]
    return out


def _good_shifts(small: np.ndarray, known: np.ndarray, usable: np.ndarray) -> list[tuple[int, int]]:
    """The shifts at which the rim of the hole resembles other places most often."""
    height, width = known.shape
    rim = (cv2.dilate(1 - known, np.ones((13, 13), np.uint8)) & known) > 0
    if not rim.any():
        return []
    places = np.flatnonzero(rim)
    places = places[:: max(1, len(places) // _RIM_SAMPLES)]
    weight, shifts, costs = known.astype(np.float32), [], []
    for dy in range(-(height // 2), height // 2 + 1, _SHIFT_STEP):
        for dx in range(-(width // 2), width // 2 + 1, _SHIFT_STEP):
            if dx * dx + dy * dy < _SHORTEST_SHIFT**2:
                continue
            valid = _shifted(usable, (dx, dy)).astype(np.float32)
            cost = _mismatch(small, weight, _shifted(small, (dx, dy)), valid, 7)
            shifts.append((dx, dy))
            costs.append(cost.ravel()[places] + _DISTANCE_COST * float(np.hypot(dx, dy)))
    # Small shifts fit the rim best, but reach no deeper than their length: take some of each.
    depth = float(cv2.distanceTransform(1 - known, cv2.DIST_L2, 3).max())
    lengths, table = np.hypot(*np.array(shifts).T), np.array(costs)
    picked: dict[tuple[int, int], None] = {}
    for least in (0.0, depth, 2 * depth):
        far = np.flatnonzero(lengths >= least)
        picked |= dict.fromkeys(shifts[far[i]] for i in _most_wanted(table[far]))
    return list(picked)


def _most_wanted(costs: np.ndarray) -> list[int]:
    """Pick rows of (shifts, places) greedily, each the one that lowers the total cost most."""
    lowest = np.full(costs.shape[1], _OUTSIDE_COST, np.float32)
    picked: list[int] = []
    while len(picked) < min(_SHIFT_COUNT, len(costs)):
        gain = np.maximum(lowest - costs, 0).sum(1)
        index = int(gain.argmax())
        if gain[index] <= 0:
            break
        picked.append(index)
        lowest = np.minimum(lowest, costs[index])
    return picked


# --- finer levels -------------------------------------------------------------------------------


def _grid(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return columns, rows


def _taken(array: np.ndarray, shift: np.ndarray) -> np.ndarray:
    columns, rows = _grid(shift.shape[:2])
    columns += shift[..., 0]
    rows += shift[..., 1]
    return cv2.remap(array, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)


def _enlarged(shift: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shift field at another size, in pixels of that size, whole numbers."""
    scale = np.array([size[0] / shift.shape[1], size[1] / shift.shape[0]], np.float32)
    return np.round(cv2.resize(shift, size, interpolation=cv2.INTER_NEAREST) * scale)


_NUDGES = tuple((dx, dy) for dy in (0, -1, 1) for dx in (0, -1, 1))


def _refined(
    picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, shift: np.ndarray, side: int
) -> np.ndarray:
    """Move each piece by up to two pixels of a finer level, so that its edges meet."""
    small, known = _reduced(picture, hole, side)
    usable = _reduced(picture, barred, side)[1]
    shift = _enlarged(shift, (known.shape[1], known.shape[0]))
    everywhere = np.ones(known.shape, np.float32)
    for _ in range(2):
        filled = np.where(known[..., None] > 0, small, _taken(small, shift))
        lowest = np.full(known.shape, np.inf, np.float32)
        best = shift
        for nudge in _NUDGES:
            moved = shift + np.array(nudge, np.float32)
            valid = _taken(usable, moved).astype(np.float32)
            cost = _mismatch(filled, everywhere, _taken(small, moved), valid, 9)
            cost += 1e6 * (1 - valid)
            better = cost < lowest - 1.0
            best = np.where(better[..., None], moved, best)
            lowest = np.where(better, cost, lowest)
        shift = best
    return shift


def _copied(
    picture: np.ndarray,
    hole: np.ndarray,
    barred: np.ndarray,
    shift: np.ndarray,
    poor: np.ndarray,
) -> np.ndarray:
    """Copy at full resolution; soften the joints between the pieces."""
    height, width = hole.shape
    shift = _enlarged(shift, (width, height))
    usable = (_taken(1 - barred, shift) > 0) & (hole > 0) & (poor == 0)
    merged = np.where(usable[..., None], _taken(picture, shift), picture).astype(np.float32)
    known = np.where(usable, 1, 1 - hole).astype(np.float32)
    filled = np.clip(pull_push(merged, known), 0, 255)
    joint = _joints(shift, hole, max(height, width) / 384)
    filled += (cv2.GaussianBlur(filled, (0, 0), max(height, width) / 250) - filled) * joint
    filled = _evened(filled, picture, hole, barred)
    return np.where(hole[..., None] > 0, (filled + 0.5).astype(np.uint8), picture)


def _evened(
    filled: np.ndarray, picture: np.ndarray, hole: np.ndarray, barred: np.ndarray
) -> np.ndarray:
    """Keep only the texture of the copies where the surroundings hold no structure.

    On a plain wall the eye sees the small steps between copied pieces; the smooth fill has
    none.
    """
    small, known = _reduced(picture, barred, _COARSE_SIZE)
    smooth = pull_push(small, known.astype(np.float32))
    around = cv2.dilate(1 - known, np.ones((25, 25), np.uint8)) & known
    if not around.any():
        return filled
    trend = cv2.GaussianBlur(smooth, (0, 0), 6)
    contrast = float(np.abs(small - trend).mean(-1)[around > 0].mean())
    plain = float(np.clip(1.5 - contrast / 6, 0, 1))
    if plain <= 0:
        return filled
    coarse, inside = _reduced(picture, hole, 2 * _COARSE_SIZE)
    size = inside.shape[1], inside.shape[0]
    target = pull_push(coarse, inside.astype(np.float32))
    have = cv2.resize(filled, size, interpolation=cv2.INTER_AREA)
    change = cv2.GaussianBlur(target - have, (0, 0), max(size) / 40) * plain
    return np.clip(filled + cv2.resize(change, (hole.shape[1], hole.shape[0])), 0, 255)


def _joints(shift: np.ndarray, hole: np.ndarray, scale: float) -> np.ndarray:
    """(h, w, 1) float32: 1 at the joints of two pieces, falling off beside them."""
    apart = np.zeros(hole.shape, np.uint8)
    apart[:, 1:] |= np.abs(shift[:, 1:] - shift[:, :-1]).sum(-1) > 1.5 * scale
    apart[1:] |= np.abs(shift[1:] - shift[:-1]).sum(-1) > 1.5 * scale
    width = 2 * max(1, round(2.5 * scale)) + 1
    near = cv2.dilate(apart & hole, np.ones((width, width), np.uint8)).astype(np.float32)
    return cv2.blur(near, (width, width))[..., None]
