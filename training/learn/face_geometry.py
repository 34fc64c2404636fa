"""The head model, its skin and its light in torch, differentiable, for `face_3dmm`.

No rasteriser is needed: the skin is looked at in the middles of triangles that are spread over
the face. Places are in crop sides from the crop's centre, lengths in 100 mm.
Letters in shapes: N faces, F triangles, P points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from stream.face_3dmm import DISPLAY_GAMMA, UNIT_MM, load_skin_model
from stream.head_model import load_head_model
from training.learn.face_fields import face_triangles

Tensors = dict[str, torch.Tensor]
_DARK = 1e-3  # linear light below which the gamma curve is too steep to learn from
_RIDGE = 0.01


class Skin(NamedTuple):
    """What is known of the triangles of a face.

    Attributes:
        places: (N, F, 2) where their middles are in the crop.
        normals: (N, F, 3) unit, outwards, ray frame.
        centres: (N, F, 3) camera space.
    """

    places: torch.Tensor
    normals: torch.Tensor
    centres: torch.Tensor


class FaceGeometry:
    """Bases of the head model and of its skin on one device.

    Args:
        place: the device.
    """

    def __init__(self, place: torch.device) -> None:
        model, skin = load_head_model(), load_skin_model()
        corners = face_triangles()
        used, index = np.unique(corners, return_inverse=True)
        self._corners = torch.from_numpy(index.reshape(-1, 3)).to(place)

        def put(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(place)

        basis = np.concatenate([model.identity_basis, model.expression_basis]) / UNIT_MM
        points = np.concatenate([model.points478_identity, model.points478_expression]) / UNIT_MM
        self._vertices = put(model.vertices[used] / UNIT_MM)
        self._vertex_basis = put(basis[:, used].reshape(len(basis), -1))
        self._points = put(model.points478_mean / UNIT_MM)
        self._point_basis = put(points.reshape(len(points), -1))
        self._albedo = put(skin.mean[corners].mean(axis=1))
        self._albedo_basis = put(skin.basis[:, corners].mean(axis=2).reshape(len(skin.basis), -1))
        strength = np.sqrt((basis[:, model.labels == 1] ** 2).sum(axis=2).mean(axis=1))
        count = len(model.identity_basis)
        spread = np.sqrt((skin.basis[:, model.labels == 1] ** 2).sum(axis=2).mean(axis=1))
        parts = {"identity": strength[:count], "expression": strength[count:], "texture": spread}
        self.importance = {name: put(part / part.sum()) for name, part in parts.items()}

    def vertices(self, identity: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
        """Return (N, U, 3) vertices of the face, head space (Deep 3D Portrait, eq. 1)."""
        both = torch.cat([identity, expression], dim=1)
        return self._vertices + (both @ self._vertex_basis).view(len(both), -1, 3)

    def points(self, identity: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
        """Return (N, 478, 3) tracked points, head space."""
        both = torch.cat([identity, expression], dim=1)
        return self._points + (both @ self._point_basis).view(len(both), -1, 3)

    def albedo(self, texture: torch.Tensor) -> torch.Tensor:
        """Return (N, F, 3) linear albedo (Deep 3D Portrait, eq. 1)."""
        offset = (texture @ self._albedo_basis).view(len(texture), -1, 3)
        return (self._albedo + offset).clamp(min=0.002)

    def skin(self, vertices: torch.Tensor, pose: Tensors, view: Tensors) -> Skin:
        """Place the triangles.

        Args:
            vertices: (N, U, 3) as `vertices` gives them.
            pose: `rotation` (N, 6) and `place` (N, 3) as in stream.face_3dmm.
            view: `camera` (N, 3) and `ray` (N, 3, 3) as learn.face_views gives them.
        """
        turned = rotation_matrix(pose["rotation"])
        camera_space = in_camera(vertices, turned, pose["place"], view)
        corners = camera_space[:, self._corners]  # (N, F, 3 corners, 3)
        centres = corners.mean(dim=2)
        sides = (corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        normals = torch.nn.functional.normalize(torch.linalg.cross(*sides), dim=-1, eps=1e-6)
        return Skin(projected(centres, view), normals @ view["ray"], centres)


def rotation_matrix(columns: torch.Tensor) -> torch.Tensor:
    """Return (N, 3, 3) rotations from their first two columns (N, 6), made orthonormal."""
    first = torch.nn.functional.normalize(columns[:, :3], dim=1)
    second = columns[:, 3:] - (first * columns[:, 3:]).sum(1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=2)


def in_camera(
    head_space: torch.Tensor, ray_from_head: torch.Tensor, place: torch.Tensor, view: Tensors
) -> torch.Tensor:
    """Carry (N, P, 3) to camera space; undoes what stream.face_3dmm.pose_in_crop says of it."""
    focal, principal = view["camera"][:, 0], view["camera"][:, 1:]
    depth = focal * place[:, 2].exp()
    across = (place[:, :2] - principal) * (depth / focal)[:, None]
    origin = torch.cat([across, depth[:, None]], dim=1)
    rotation = view["ray"] @ ray_from_head
    return head_space @ rotation.transpose(1, 2) + origin[:, None]


def projected(points: torch.Tensor, view: Tensors) -> torch.Tensor:
    """Project (N, P, 3) camera-space points into the crop: (N, P, 2)."""
    focal, principal = view["camera"][:, :1, None], view["camera"][:, None, 1:]
    return focal * points[..., :2] / points[..., 2:].clamp(min=0.2) + principal


def colours_at(picture: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Read (N, F, 3) colours of pictures (N, 3, H, W) at places in the crop, bilinear."""
    grid = 2 * places.unsqueeze(2)
    found = torch.nn.functional.grid_sample(
        picture, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return found.squeeze(3).transpose(1, 2)


def harmonics(normals: torch.Tensor) -> torch.Tensor:
    """Evaluate (…, 9) real spherical harmonics of unit (…, 3), as training.synthetic.lighting."""
    x, y, z = normals.unbind(-1)
    values = [
        0.282095 * torch.ones_like(x), 0.488603 * y, 0.488603 * z, 0.488603 * x,
        1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z,
        0.546274 * (x * x - y * y),
    ]  # fmt: skip
    return torch.stack(values, dim=-1)


def shaded(albedo: torch.Tensor, normals: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Return (N, F, 3) colours, 0…1 as displayed, of skin in light (N, 27)."""
    arriving = harmonics(normals) @ light.view(-1, 3, 9).transpose(1, 2)
    return (albedo * arriving).clamp(_DARK, 4.0) ** (1 / DISPLAY_GAMMA)


def light_from_picture(
    colours: torch.Tensor, albedo: torch.Tensor, normals: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """Find the light (N, 27) that explains the colours (N, F, 3) of known skin best.

    Lamps, sky and exposure are all in it; least squares in linear light, with a ridge that
    keeps what no seen triangle tells small.
    """
    linear = colours.clamp(0, 1) ** DISPLAY_GAMMA
    basis = harmonics(normals)
    rows = basis.unsqueeze(1) * albedo.transpose(1, 2).unsqueeze(-1)  # (N, 3, F, 9)
    weighted = rows * seen[:, None, :, None]
    system = weighted.transpose(2, 3) @ rows
    size = system.diagonal(dim1=2, dim2=3).mean(-1)[..., None, None]
    ridge = torch.diag(rows.new_tensor([0.01, 1, 1, 1, 2, 2, 2, 2, 2])) * _RIDGE
    right = weighted.transpose(2, 3) @ linear.transpose(1, 2).unsqueeze(-1)
    return torch.linalg.solve(system + (size + 1e-4) * ridge, right).reshape(-1, 27)
