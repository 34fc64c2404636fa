"""D_S and V by 3DMMNet, whose parameters stay fixed while DepthNet is trained (§III-D, §IV)."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  the command line reads the annotations
from typing import TYPE_CHECKING

import numpy as np
import torch

from stream.face_3dmm import SIZE, Crop, pose_in_camera
from stream.geometry import transform_points
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.reconstruct.face_depth import (
    NOSE_TIP,
    along_ray,
    model_depth,
    normalised,
    unit_ray,
)
from training.experiments.face_3dmm import OUTPUTS
from training.learn.prepared import PAIRS, PreparedSet, open_set
from training.multiview.face_set import STORED
from training.multiview.model_net import batch_of

if TYPE_CHECKING:
    from torch import nn

_CHANGED = ("model_depth", "camera_from_head", "tip_mm")


def render_models(data: PreparedSet, source: Path, out: Path, network: nn.Module) -> PreparedSet:
    """Make a set whose pairs have D_S and V by 3DMMNet instead of by the landmark fit.

    Args:
        data: the set.
        source: its folder; what does not change is linked.
        out: the new folder.
        network: a trained 3DMMNet.
    """
    (out / PAIRS).mkdir(parents=True, exist_ok=True)
    for path in (*source.glob("*.npy"), source / "set.json", *(source / PAIRS).glob("*.npy")):
        target = out / path.relative_to(source)
        if path.stem not in _CHANGED or path.parent == source:
            target.unlink(missing_ok=True)
            target.symlink_to(path.resolve())
    fields = {name: np.array(data.pairs[name]) for name in _CHANGED}
    model, context = load_head_model(), create_context()
    raster = DepthRaster(context, model.triangles)
    crop, whole = Crop(STORED / 2, STORED / 2, STORED), Crop(SIZE / 2, SIZE / 2, SIZE)
    for row in range(len(data.pairs["pixels"])):
        found = _found(network, data, row)
        for number in range(2):
            camera = data.pairs["intrinsics"][row, number].astype(np.float64)
            seen = np.diag([SIZE / STORED, SIZE / STORED, 1.0]) @ camera
            pose = pose_in_camera(found["rotation"][number], found["place"][number], whole, seen)
            identity, expression = found["identity"][number], found["expression"][number]
            placed = transform_points(pose, model.shape(identity, expression))
            tip = transform_points(pose, model.points478(identity, expression)[NOSE_TIP])
            tip_mm = float(tip @ unit_ray(crop, camera))
            depth_mm = model_depth(raster, placed, camera, crop, STORED)
            along = along_ray(crop, camera, STORED)
            value = normalised(depth_mm * along, tip_mm, float(camera[0, 0]), SIZE)
            fields["model_depth"][row, number] = np.where(depth_mm > 0, value, np.inf)
            fields["camera_from_head"][row, number] = pose
            fields["tip_mm"][row, number] = tip_mm
    raster.release()
    context.release()
    for name, values in fields.items():
        np.save(out / PAIRS / f"{name}.npy", values)
    return open_set(out)


def _found(network: nn.Module, data: PreparedSet, row: int) -> dict[str, np.ndarray]:
    batch = batch_of(data, np.array([row]), None)
    with torch.no_grad():
        outputs = network(batch["picture"])
    return {name: value.numpy() for name, value in zip(OUTPUTS, outputs, strict=True)}
