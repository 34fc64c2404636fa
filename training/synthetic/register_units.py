"""Carry the face units of ICT-FaceKit onto the base head, along its registration.

Where the skin of the base head lies on ICT's, it moves as ICT's does. What has no counterpart
there (linings of mouth and eye sockets, lid margins, the body) moves as in MakeHuman's unit of
the same name, plus what its surroundings differ by. The lower teeth and the tongue follow
ICT's lower teeth; eyeballs, which ICT leaves to a rotation, turn as MakeHuman's do.
"""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stream.head_model import load_head_model
from training.synthetic.nonrigid import Touch, extend
from training.synthetic.register_data import Scan, Template

_STIFFNESS = 0.1
_SKIN_NEAR = 8  # vertices of the skin that a helper follows
_MOST_GAIN, _OVERLAP_MM = 1.6, 1.0  # of a blink, and of the lids where it ends
_JAW_SHARE = 0.3  # of the largest motion, above which ICT's teeth belong to the jaw
# iBUG points along upper and lower lids; the picture's left is the person's right.
_LIDS = {
    "eyeBlinkRight": np.array([[37, 38], [41, 40]]),
    "eyeBlinkLeft": np.array([[43, 44], [47, 46]]),
}


def carry_units(
    template: Template,
    scan: Scan,
    touch: Touch,
    weights: np.ndarray,
    smooth: sparse.csr_matrix,
    mean: np.ndarray,
) -> np.ndarray:
    """Carry ICT's face units to the rows of the base head.

    Args:
        template: the base head.
        scan: ICT's.
        touch: where the skin of the base head, bent onto ICT's, lies there.
        weights: (S,) 0…1, how sure that is, for the vertices of the skin in ascending order.
        smooth: (S, S) of `smoothness`.
        mean: (R, 3) offsets that make the base head ICT's mean head.

    Returns:
        (52, R, 3) float32 mm at full strength; MakeHuman's own where ICT has none of that name.
    """
    skin = np.unique(template.triangles)
    units = template.units.copy()
    named = np.flatnonzero(np.abs(scan.units).max(axis=(1, 2)) > 0)
    corners, bary = scan.skin[touch.triangle], touch.bary.astype(np.float32)
    theirs = np.einsum("nk,unkd->und", bary, scan.units[named][:, corners])
    apart = theirs - units[named][:, skin]
    flat = apart.transpose(1, 0, 2).reshape(len(skin), -1)
    carried = extend(flat, weights, smooth, _STIFFNESS)
    spread = _spread(template, skin) @ carried
    units[named] += spread.reshape(len(spread), -1, 3).transpose(1, 0, 2)
    jaw, head = template.groups["jaw"], template.vertices + mean
    for number in named:
        units[number, jaw] = _with_lower_teeth(scan, number, head[jaw])
    places = template.points68 @ head
    for name, lids in _LIDS.items():
        number = load_head_model().expression_names.index(name)
        units[number] *= _until_shut(places, template.points68 @ units[number], lids)
    return units


def _until_shut(points: np.ndarray, moved: np.ndarray, lids: np.ndarray) -> float:
    """Return the gain at which upper lids meet lower ones: their rims are not quite ICT's.

    Args:
        points: (68, 3) at rest.
        moved: (68, 3) offsets by the blink.
        lids: (2, N) iBUG points along the upper and the lower lid.
    """
    upper, lower = lids
    open_mm = (points[lower, 1] - points[upper, 1]).mean()
    closed_mm = (moved[upper, 1] - moved[lower, 1]).mean()
    return float(np.clip((open_mm + _OVERLAP_MM) / closed_mm, 1.0, _MOST_GAIN))


def _spread(template: Template, skin: np.ndarray) -> sparse.csr_matrix:
    """Return (R, S) weights: skin keeps its own, lashes follow it, eyes and teeth do not."""
    count, vertices = len(template.vertices), template.vertices
    follows = np.ones(count, bool)
    for rows in template.groups.values():
        follows[rows] = False
    follows[skin] = False
    others = np.flatnonzero(follows)
    distance, near = cKDTree(vertices[skin]).query(vertices[others], k=_SKIN_NEAR)
    share = 1 / (distance + 0.5) ** 2
    share /= share.sum(1, keepdims=True)
    rows = np.concatenate([skin, np.repeat(others, _SKIN_NEAR)])
    columns = np.concatenate([np.arange(len(skin)), near.ravel()])
    values = np.concatenate([np.ones(len(skin)), share.ravel()])
    return sparse.csr_matrix((values, (rows, columns)), (count, len(skin)))


def _with_lower_teeth(scan: Scan, number: int, points: np.ndarray) -> np.ndarray:
    """Move (N, 3) points by the affine motion of ICT's lower teeth in one unit: (N, 3) mm."""
    teeth = scan.parts["teeth"]
    moves = np.linalg.norm(scan.units[scan.jaw_open][teeth], axis=1)
    lower = teeth[moves > _JAW_SHARE * moves.max()]
    middle = scan.vertices[lower].mean(0)
    known = np.column_stack([scan.vertices[lower] - middle, np.ones(len(lower))])
    motion, *_ = np.linalg.lstsq(known, scan.units[number][lower], rcond=None)
    return np.column_stack([points - middle, np.ones(len(points))]) @ motion
