"""The networks of DepthNets (fig. 1), its discriminator, and the comparator AIGN."""

from __future__ import annotations

import torch
from torch import nn

from stream.affine import apply_affine, lift

# Widths of the dense layers that see keypoints, as share of the widest.
_DENSE = (1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25)
_IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0))


class DepthNet(nn.Module):
    """Depth of the source's keypoints, and for §2.1 and §2.2 also the affine.

    Args:
        points: K.
        affine: whether the eight numbers of m are predicted besides.
        pictures: side of the pictures that a siamese path sees (case A); 0 for none (case B).
        paired: whether the target is looked at; else depth depends on the source alone.
        width: of the widest layer.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(
        self, points: int, *, affine: bool, pictures: int = 0, paired: bool = True,
        width: int = 512,
    ) -> None:  # fmt: skip
        super().__init__()
        self.points, self.affine, self.pictures, self.paired = points, affine, pictures, paired
        self.register_buffer("mean", torch.zeros(points, 2))
        self.register_buffer("spread", torch.ones(points, 2))
        faces = 2 if paired else 1
        taken = faces * 2 * points
        if pictures:
            self.eyes = _siamese()
            side = ((pictures - 4) // 2 - 2) // 2 - 2
            taken += faces * 32 * (side // 2) ** 2
        layers: list[nn.Module] = []
        for share in _DENSE:
            units = int(share * width)
            layers += [nn.Linear(taken, units), nn.BatchNorm1d(units), nn.ReLU()]
            taken = units
        self.dense = nn.Sequential(*layers)
        self.out = nn.Linear(taken, points + (8 if affine else 0))

    def standardise(self, points: torch.Tensor) -> None:
        """Take over how the keypoints of the training faces, (N, K, 2), are spread."""
        self.mean.copy_(points.mean(0))
        self.spread.copy_(points.std(0) + 1e-3)

    def forward(
        self,
        source: torch.Tensor,
        target: torch.Tensor | None = None,
        source_picture: torch.Tensor | None = None,
        target_picture: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Predict from keypoints (N, K, 2) and pictures (N, 3, S, S), 0…1.

        Returns:
            (N, K) depths with mean 0, and the (N, 2, 4) affine or None.
        """
        faces = [source] if target is None or not self.paired else [source, target]
        seen = [((face - self.mean) / self.spread).flatten(1) for face in faces]
        if self.pictures:
            pictures = [source_picture, target_picture][: len(faces)]
            seen += [self.eyes(picture - 0.5) for picture in pictures if picture is not None]
        out = self.out(self.dense(torch.cat(seen, dim=1)))
        depth = 0.1 * out[:, : self.points]
        depth = depth - depth.mean(1, keepdim=True)
        if not self.affine:
            return depth, None
        moved = 0.3 * out[:, self.points :].reshape(-1, 2, 4)
        return depth, moved + moved.new_tensor(_IDENTITY)


def _siamese() -> nn.Sequential:
    """Return the path that both pictures take: valid convolutions and pooling by turns."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip


class DepthJudge(nn.Module):
    """Tells true depths from estimated ones, given the 2D keypoints they belong to (§3.2)."""

    spread: torch.Tensor
    mean: torch.Tensor

    def __init__(self, points: int, width: int = 512) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(points, 3))
        self.register_buffer("spread", torch.ones(points, 3))
        layers: list[nn.Module] = []
        taken = 3 * points
        for units in (width, width, width // 2, width // 2):
            layers += [nn.Linear(taken, units), nn.LeakyReLU(0.2)]
            taken = units
        self.dense = nn.Sequential(*layers, nn.Linear(taken, 1))

    def standardise(self, lifted: torch.Tensor) -> None:
        """Take over how true keypoints with depth, (N, K, 3), are spread."""
        self.mean.copy_(lifted.mean(0))
        self.spread.copy_(lifted.std(0) + 1e-3)

    def forward(self, points: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """(N, K, 2) and (N, K) → (N, 1) scores; true depths get higher ones."""
        return self.dense(((lift(points, depth) - self.mean) / self.spread).flatten(1))

    def slope(self, lifted: torch.Tensor) -> torch.Tensor:
        """Return (N,) lengths of the score's gradient at (N, K, 3) standardised faces."""
        seen = ((lifted - self.mean) / self.spread).flatten(1)
        (gradient,) = torch.autograd.grad(self.dense(seen).sum(), seen, create_graph=True)
        return gradient.norm(dim=1)


class Aign(nn.Module):
    """AIGN (Tung et al. 2017): a 3D face from heat maps of its 2D keypoints.

    As in the paper's comparison: a convolutional encoder gives a shape, a rotation, a shift and a
    camera; the shape is learned by reprojection and from a judge of 3D keypoints.

    Args:
        points: K.
        side: of the heat maps.
    """

    mean_shape: torch.Tensor
    shape_spread: torch.Tensor

    def __init__(self, points: int, side: int = 32) -> None:
        super().__init__()
        self.points, self.side = points, side
        self.register_buffer("mean_shape", torch.zeros(points, 3))
        self.register_buffer("shape_spread", torch.ones(points, 3))
        layers: list[nn.Module] = []
        for before, after, stride in ((points, 64, 2), (64, 96, 2), (96, 128, 2), (128, 128, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.look = nn.Sequential(*layers, nn.Flatten())
        self.dense = nn.Sequential(nn.Linear(128 * (side // 8) ** 2, 512), nn.ReLU())
        self.out = nn.Linear(512, 3 * points + 6 + 2 + 2)

    def heat(self, source: torch.Tensor) -> torch.Tensor:
        """Draw (N, K, side, side) maps with a round spot at each of the (N, K, 2) keypoints."""
        axis = torch.arange(self.side, dtype=source.dtype, device=source.device) + 0.5
        place = (source + 0.5) * self.side
        across = torch.exp(-0.5 * (axis - place[..., :1]) ** 2)
        down = torch.exp(-0.5 * (axis - place[..., 1:]) ** 2)
        return down[..., :, None] * across[..., None, :]

    def forward(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, K, 2) keypoints → (N, K, 3) the face in 3D, (N, K, 2) its reprojection."""
        out = self.out(self.dense(self.look(self.heat(source))))
        k = 3 * self.points
        deviation = out[:, :k].reshape(-1, self.points, 3)
        shape = self.mean_shape + 0.3 * self.shape_spread * deviation
        start = out.new_tensor([1.0, 0, 0, 0, 1.0, 0])
        rotation = rotation_of(0.5 * out[:, k : k + 6] + start)
        turned = shape @ rotation.transpose(1, 2)
        turned = turned - turned.mean(1, keepdim=True)
        shift, zoom = 0.1 * out[:, k + 6 : k + 8], 1 + 0.1 * out[:, k + 8 :]
        camera = torch.diag_embed(zoom)
        affine = torch.cat([camera, 0 * camera[..., :1], shift[..., None]], dim=-1)
        placed = apply_affine(affine, turned)
        return torch.cat([placed, turned[..., 2:]], dim=-1), placed


def rotation_of(columns: torch.Tensor) -> torch.Tensor:
    """(N, 6) numbers → (N, 3, 3) rotations, by making two columns orthonormal."""
    a, b = columns[:, :3], columns[:, 3:]
    first = nn.functional.normalize(a, dim=1)
    second = nn.functional.normalize(b - (first * b).sum(1, keepdim=True) * first, dim=1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=2)
