"""The layers of the grid generator and of the sampler, each with the derivatives of the paper.

3D Morphable Models as Spatial Transformer Networks (Bas et al. 2017), §2.2 and §2.3. Every layer
is a `torch.autograd.Function` whose `backward` is the paper's formula; tests hold each against
finite differences and against torch's own derivatives. Letters in shapes: B pictures, N vertices,
D shape parameters, C channels. The paper's indices i run over axes, j over vertices.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Context = Any  # torch gives its context no public type


class MorphableModel(Function):
    """x(α) = P α + μ, with ∂x/∂α = P."""

    @staticmethod
    def forward(
        context: Context, alpha: torch.Tensor, basis: torch.Tensor, mean: torch.Tensor
    ) -> torch.Tensor:
        """Return X (B, 3, N) for α (B, D), P (3, N, D) and μ (3, N)."""
        context.save_for_backward(basis)
        return torch.einsum("bd,ind->bin", alpha, basis) + mean

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Take ∂ℓ/∂X to ∂ℓ/∂α = Pᵀ ∂ℓ/∂x; the model itself is fixed."""
        (basis,) = context.saved_tensors
        return torch.einsum("bin,ind->bd", slope, basis), None, None


class AxisAngle(Function):
    """R(r) = cos θ I + sin θ [r̄]ₓ + (1 − cos θ) r̄ r̄ᵀ, with the derivative of Gallego and Yezzi."""

    @staticmethod
    def forward(context: Context, vector: torch.Tensor) -> torch.Tensor:
        """Return R (B, 3, 3) for r (B, 3); the identity where r = 0."""
        angle = vector.norm(dim=1)[:, None, None]
        axis = vector / vector.norm(dim=1, keepdim=True).clamp(min=torch.finfo(vector.dtype).tiny)
        eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
        outer = axis[:, :, None] * axis[:, None, :]
        rotation = angle.cos() * eye + angle.sin() * cross_matrix(axis) + (1 - angle.cos()) * outer
        context.save_for_backward(vector, rotation)
        return rotation

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> torch.Tensor:
        """Take ∂ℓ/∂R (B, 3, 3) to ∂ℓ/∂r (B, 3)."""
        vector, rotation = context.saved_tensors
        return torch.einsum("bij,bkij->bk", slope, rotation_derivative(vector, rotation))


def cross_matrix(vector: torch.Tensor) -> torch.Tensor:
    """Return [a]ₓ (…, 3, 3) of (…, 3) vectors: [a]ₓ b = a × b."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def rotation_derivative(vector: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Return ∂R/∂r_i: (B, 3, 3, 3), i first.

    [e_i]ₓ where r = 0, else (r_i [r]ₓ + [r × (I − R) e_i]ₓ) R ÷ ‖r‖².
    """
    square = vector.square().sum(dim=1)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    columns = (eye - rotation).mT  # row i is (I − R) e_i
    crossed = torch.linalg.cross(vector[:, None].expand_as(columns), columns)
    inner = vector[:, :, None, None] * cross_matrix(vector)[:, None] + cross_matrix(crossed)
    # Squares of tiny angles vanish: nearer to 0 than this the limit is closer than the quotient.
    still = square < 1e3 * torch.finfo(vector.dtype).eps ** 2
    safe = torch.where(still, torch.ones_like(square), square)[:, None, None, None]
    return torch.where(
        still[:, None, None, None], cross_matrix(eye)[None], inner @ rotation[:, None] / safe
    )


class Rotate(Function):
    """X′ = R X, with ∂X′_ij/∂R_ik = X_kj and ∂X′_ij/∂X_kj = R_ik."""

    @staticmethod
    def forward(context: Context, rotation: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return X′ (B, 3, N) for R (B, 3, 3) and X (B, 3, N)."""
        context.save_for_backward(rotation, points)
        return rotation @ points

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ∂ℓ/∂X′ to ∂ℓ/∂R and ∂ℓ/∂X."""
        rotation, points = context.saved_tensors
        return slope @ points.mT, rotation.mT @ slope


class Orthographic(Function):
    """Y = P X′ with P the first two rows of the identity, so that ∂Y_ij/∂X′_ij = 1."""

    @staticmethod
    def forward(context: Context, points: torch.Tensor) -> torch.Tensor:
        """Return Y (B, 2, N) for X′ (B, 3, N)."""
        return points[:, :2].clone()

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> torch.Tensor:
        """Take ∂ℓ/∂Y to ∂ℓ/∂X′: nothing comes from depth."""
        return torch.cat([slope, torch.zeros_like(slope[:, :1])], dim=1)


class Exponential(Function):
    """s = exp(log s), with ∂s/∂log s = s."""

    @staticmethod
    def forward(context: Context, log_scale: torch.Tensor) -> torch.Tensor:
        """Return s (B,) for log s (B,)."""
        scale = log_scale.exp()
        context.save_for_backward(scale)
        return scale

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> torch.Tensor:
        """Take ∂ℓ/∂s to ∂ℓ/∂log s."""
        (scale,) = context.saved_tensors
        return slope * scale


class Scale(Function):
    """Y′ = s Y, with ∂Y′_ij/∂s = Y_ij and ∂Y′_ij/∂Y_ij = s."""

    @staticmethod
    def forward(context: Context, scale: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return Y′ (B, 2, N) for s (B,) and Y (B, 2, N)."""
        context.save_for_backward(scale, places)
        return scale[:, None, None] * places

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ∂ℓ/∂Y′ to ∂ℓ/∂s and ∂ℓ/∂Y."""
        scale, places = context.saved_tensors
        return (slope * places).sum(dim=(1, 2)), scale[:, None, None] * slope


class Translate(Function):
    """Y″ = Y′ + 1_N ⊗ t, with ∂Y″_ij/∂t_i = 1 and ∂Y″_ij/∂Y′_ij = 1."""

    @staticmethod
    def forward(context: Context, shift: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return Y″ (B, 2, N) for t (B, 2) and Y′ (B, 2, N)."""
        return places + shift[:, :, None]

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ∂ℓ/∂Y″ to ∂ℓ/∂t and ∂ℓ/∂Y′."""
        return slope.sum(dim=2), slope


class Select(Function):
    """L = Y″ S: some vertices as landmarks (eq. 4)."""

    @staticmethod
    def forward(context: Context, places: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return L (B, 2, L) for Y″ (B, 2, N) and the (L,) numbers of the chosen vertices."""
        context.save_for_backward(chosen)
        context.count = places.shape[2]
        return places[:, :, chosen]

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Take ∂ℓ/∂L to ∂ℓ/∂Y″ = ∂ℓ/∂L Sᵀ."""
        (chosen,) = context.saved_tensors
        whole = slope.new_zeros(*slope.shape[:2], context.count)
        return whole.index_add(2, chosen, slope), None


class BilinearSampler(Function):
    """V_i = Σ_jk I_jk max(0, 1 − |x_i − k|) max(0, 1 − |y_i − j|) (§2.3, Jaderberg et al. 2015).

    Pixels have their centres at whole numbers; beyond the picture all is 0.
    """

    @staticmethod
    def forward(context: Context, picture: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return V (B, C, N) for pictures (B, C, H, W) and places (B, 2, N), x and y."""
        context.save_for_backward(picture, places)
        index, weight, _, _ = _neighbours(picture, places)
        return (_gathered(picture, index) * weight[:, None]).sum(dim=2)

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ∂ℓ/∂V to ∂ℓ/∂I, which is spread out again, and to ∂ℓ/∂(x, y)."""
        picture, places = context.saved_tensors
        index, weight, across, down = _neighbours(picture, places)
        values = _gathered(picture, index)
        spread = slope[:, :, None] * weight[:, None]
        flat = torch.zeros_like(picture).flatten(2)
        rows = index.flatten(1)[:, None].expand(-1, picture.shape[1], -1)
        flat.scatter_add_(2, rows, spread.flatten(2))
        along = [
            (slope[:, :, None] * values * part[:, None]).sum(dim=(1, 2)) for part in (across, down)
        ]
        return flat.view_as(picture), torch.stack(along, dim=1)


def _neighbours(
    picture: torch.Tensor, places: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Find the four pixels around each place.

    Returns:
        Their numbers, weights, and the weights' derivatives along x and y: (B, 4, N) each.
    """
    height, width = picture.shape[2:]
    low = places.floor()
    share = places - low
    index, weight, across, down = [], [], [], []
    for right in (0, 1):
        for below in (0, 1):
            x, y = low[:, 0] + right, low[:, 1] + below
            inside = ((x >= 0) & (x < width) & (y >= 0) & (y < height)).to(places.dtype)
            in_x = share[:, 0] if right else 1 - share[:, 0]
            in_y = share[:, 1] if below else 1 - share[:, 1]
            number = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
            index.append(number.long())
            weight.append(inside * in_x * in_y)
            across.append(inside * (1 if right else -1) * in_y)
            down.append(inside * (1 if below else -1) * in_x)
    stacks = (torch.stack(parts, dim=1) for parts in (index, weight, across, down))
    first, second, third, fourth = stacks
    return first, second, third, fourth


def _gathered(picture: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Read (B, C, 4, N) of pictures (B, C, H, W) at (B, 4, N) pixel numbers."""
    count, channels = picture.shape[:2]
    rows = index.flatten(1)[:, None].expand(-1, channels, -1)
    return picture.flatten(2).gather(2, rows).view(count, channels, *index.shape[1:])


class Visible(Function):
    """M(R, α): 1 where the normal faces the camera; no derivative passes (§2.3)."""

    @staticmethod
    def forward(
        context: Context, rotation: torch.Tensor, points: torch.Tensor, triangles: torch.Tensor
    ) -> torch.Tensor:
        """Return M (B, N) for R (B, 3, 3), X (B, 3, N) and (T, 3) triangles.

        Triangles run so that their normals point outwards; the camera looks along +z.
        """
        normals = vertex_normals(points, triangles)
        return ((rotation @ normals)[:, 2] < 0).to(points.dtype)

    @staticmethod
    def backward(context: Context, _: torch.Tensor) -> tuple[None, None, None]:
        """∂M/∂α = 0 and ∂M/∂R = 0."""
        return None, None, None


def vertex_normals(points: torch.Tensor, triangles: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, N) normals, not of unit length, of vertices (B, 3, N) by (T, 3) triangles."""
    corners = points[:, :, triangles]  # (B, 3, T, 3 corners)
    sides = corners[..., 1] - corners[..., 0], corners[..., 2] - corners[..., 0]
    faces = torch.linalg.cross(*sides, dim=1)
    normals = torch.zeros_like(points)
    for corner in range(3):
        normals = normals.index_add(2, triangles[:, corner], faces)
    return normals


class Mask(Function):
    """W = V M, with ∂W/∂V = M and ∂W/∂M = V."""

    @staticmethod
    def forward(context: Context, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return W (B, C, N) for V (B, C, N) and M (B, N)."""
        context.save_for_backward(values, mask)
        return values * mask[:, None]

    @staticmethod
    @once_differentiable
    def backward(context: Context, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ∂ℓ/∂W to ∂ℓ/∂V and ∂ℓ/∂M."""
        values, mask = context.saved_tensors
        return slope * mask[:, None], (slope * values).sum(dim=1)
