"""The skin of the head model: a linear basis of albedo on its vertices (Deep 3D Portrait, eq. 1).

    python -m training.face_texture [--data FOLDER] [--count N] [--sheet SHEET.png]

Skins of synthetic people are painted as for the training pictures, read at the texture places
of the head model's vertices, made linear, and their mirror images put beside them, so that every
component of the basis is symmetric or antisymmetric. The textures are CC0 (MakeHuman); the skins
and people of the validation set stay out.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tyro
from rich.progress import track

from stream.face_3dmm import DISPLAY_GAMMA, TEXTURE_PATH, SkinModel
from stream.head_model import load_head_model
from training.synthetic.people import People, PersonSpec

COMPONENTS = 40
_PERSON = 1  # what training.synthetic.dataset starts a person's generator with
_SIZE = 512  # of the textures, as for training pictures
_BLUR_TEXELS = 1.3  # a vertex stands for the skin around it
_BARE = {4: (0.35, 0.2, 0.15), 5: (0.35, 0.16, 0.14), 6: (0.5, 0.45, 0.42)}  # not in the texture
_REST_WEIGHT = 0.4  # of what is not face, in the basis


class PaintedSkins:
    """Reads the albedo of synthetic people at the head model's vertices.

    Args:
        data_dir: the data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        people = self._people = People(data_dir, texture_size=_SIZE)
        self._model = load_head_model()
        mesh = people._skin_mesh
        self._texels = (mesh.uv * _SIZE - 0.5).astype(np.float32)
        self._rows = mesh.rows
        places = np.bincount(mesh.rows, minlength=people._to_model.shape[1])
        self._share = 1.0 / np.maximum(places, 1)[mesh.rows]
        reach = people._to_model @ (places > 0).astype(np.float32)
        self._textured = reach > 0.99

    def person(self, seed: int, number: int, held_out: bool) -> PersonSpec:
        """Draw the person of a set, as training.synthetic.dataset does."""
        rng = np.random.default_rng([seed, _PERSON, int(held_out), number])
        return self._people.sample(rng, held_out)

    def albedo(self, spec: PersonSpec) -> np.ndarray:
        """Return (V, 3) float32 linear albedo, 0…1, of the head model's vertices."""
        people = self._people
        shaved = spec.hair.rgb if spec.hair.style == "shaved" else None
        picture = people._wardrobe.picture(spec.skin.file)
        painted = people._painter.paint(picture, spec.skin, shaved)[..., :3]
        linear = (painted.astype(np.float32) / 255) ** DISPLAY_GAMMA
        soft = cv2.GaussianBlur(linear, (0, 0), _BLUR_TEXELS)
        at = cv2.remap(soft, self._texels[:, None], None, cv2.INTER_LINEAR)[:, 0]
        count = people._to_model.shape[1]
        source = [np.bincount(self._rows, self._share * at[:, c], count) for c in range(3)]
        result = people._to_model @ np.stack(source, axis=1).astype(np.float32)
        for label, colour in _BARE.items():
            result[(self._model.labels == label) & ~self._textured] = colour
        return np.clip(result, 0.002, 1.0).astype(np.float32)


def principal(albedo: np.ndarray, mirror: np.ndarray, weight: np.ndarray) -> SkinModel:
    """Find the basis of skins and their mirror images by principal components.

    Args:
        albedo: (N, V, 3) linear.
        mirror: (V,) the vertex on the other side.
        weight: (V,) importance of each vertex.

    Returns:
        Mean and COMPONENTS components, scaled to one standard deviation.
    """
    mean = 0.5 * (albedo.mean(axis=0) + albedo.mean(axis=0)[mirror])
    offset = (albedo - mean).astype(np.float32)
    root = np.sqrt(weight)[:, None]
    bases, spreads = [], []
    # Sums and differences with the mirror image never mix: two smaller problems.
    for sign in (1.0, -1.0):
        half = 0.5 * (offset + sign * offset[:, mirror])
        flat = (half * root).reshape(len(half), -1)
        values, vectors = np.linalg.eigh(flat @ flat.T / len(half))
        kept = np.argsort(values)[::-1][:COMPONENTS]
        spread = np.sqrt(np.maximum(values[kept], 1e-12))
        along = vectors[:, kept].T @ half.reshape(len(half), -1)
        # A unit eigenvector over N samples: its component has the length √N · spread.
        bases.append(along / np.sqrt(len(half)))
        spreads.append(spread)
    basis, spread = np.concatenate(bases), np.concatenate(spreads)
    order = np.argsort(spread)[::-1][:COMPONENTS]
    shape = (COMPONENTS, *mean.shape)
    return SkinModel(mean.astype(np.float32), basis[order].reshape(shape).astype(np.float32))


def weights_of(labels: np.ndarray) -> np.ndarray:
    """Return (V,) importance of vertices by region: the face counts most."""
    return np.where(labels == 1, 1.0, np.where(labels >= 5, 0.02, _REST_WEIGHT))


def projected(skin: SkinModel, albedo: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the (COMPONENTS,) coefficients that describe an albedo (V, 3) best."""
    root = np.sqrt(weight)[None, :, None]
    flat = (skin.basis * root).reshape(len(skin.basis), -1)
    offset = ((albedo - skin.mean) * root[0]).ravel()
    ridge = 1e-3 * np.trace(flat @ flat.T) / len(flat) * np.eye(len(flat))
    return np.linalg.solve(flat @ flat.T + ridge, flat @ offset).astype(np.float32)


def main(
    data: Path = Path("../shared/data"), count: int = 600, seed: int = 31, sheet: Path | None = None
) -> None:
    """Make engines/weights/face_texture.npz and say what it leaves out."""
    skins, model = PaintedSkins(data), load_head_model()
    drawn = np.stack(
        [skins.albedo(skins.person(seed, number, False)) for number in track(range(count))]
    )
    weight = weights_of(model.labels)
    test = max(count // 10, 1)
    skin = principal(drawn[test:], model.mirror, weight)
    np.savez(TEXTURE_PATH, mean=skin.mean.astype(np.float16), basis=skin.basis.astype(np.float16))
    face = model.labels == 1
    again = np.stack([skin.albedo(projected(skin, one, weight)) for one in drawn[:test]])
    left = np.abs(again - drawn[:test])[:, face].mean()
    spread = np.abs(drawn[:test] - skin.mean)[:, face].mean()
    print(f"{TEXTURE_PATH.name}: {TEXTURE_PATH.stat().st_size / 1e6:.2f} MB; mean error of unseen")
    print(f"people's albedo in the face {left:.4f} of {spread:.4f} without the basis")
    if sheet is not None:
        _draw(sheet, [*drawn[:8], *again[:8]], model.uv)


def _draw(path: Path, albedos: list[np.ndarray], uv: np.ndarray) -> None:
    """Draw albedos as dots in the head model's texture, in two rows."""
    tiles = []
    for albedo in albedos:
        tile = np.zeros((360, 360, 3), np.uint8)
        shown = (np.clip(albedo, 0, 1) ** (1 / DISPLAY_GAMMA) * 255).astype(int)
        for (x, y), colour in zip((uv * 359).astype(int).tolist(), shown.tolist(), strict=True):
            cv2.circle(tile, (x, y), 3, colour, -1)
        tiles.append(tile)
    half = len(tiles) // 2
    rows = [np.hstack(tiles[:half]), np.hstack(tiles[half:])]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.face_texture", description=__doc__)
