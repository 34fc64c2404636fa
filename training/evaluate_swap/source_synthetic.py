"""How true sources are, on people who do not exist and so can be seen in any light and pose.

    python -m training.evaluate_swap.source_synthetic [--data FOLDER] [--people N]

Each person of the held-out set is rendered at rest: from the front in even light, which gives
the true texture; from the front in two lights; and turned by 35° in a third. Printed are

- light: root mean square distance of the textures made of the two lit pictures, and of each
  from the true texture, before and after light is taken away;
- completion: PSNR of what the turned picture hides, against the true texture, for the method
  that ships, for the plain mirror image, and for a smooth fill.

Colours are compared as displayed, 0…255, after one gain a channel, on the skin of the face.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from stream.errors import UserError
from stream.fill import pull_push
from stream.flatten import flatten, sample_grid
from stream.geometry import pinhole_camera, rigid_transform, rotation_from_angles, transform_points
from stream.head_model import load_head_model
from stream.media import write_picture
from stream.networks import Networks, NetworkSettings
from stream.swap.source_photo import PhotoReader, PhotoSpec
from stream.swap.source_skin import PhotoSkin, front_of_face, photo_skin
from stream.swap.texture_complete import completed
from stream.swap.texture_light import cast_shadow, display_from_linear, linear_from_display
from stream.swap.texture_map import label_map
from stream.swap.texture_relief import without_relief
from training.synthetic.backgrounds import BackgroundLibrary
from training.synthetic.degrade import photograph
from training.synthetic.lighting import LightLibrary
from training.synthetic.people import People
from training.synthetic.renderer import SceneRenderer
from training.synthetic.scene import Camera, Label, Lighting

SIZE = 512  # of textures and pictures
_DISTANCE_MM, _TURN = 700.0, 35.0
_PERSON, _SCENE = 1, 77
_EVEN = 2.5  # strength of the even light
_FACE_LABELS = (Label.FACE, Label.EAR, Label.NECK)


@dataclass(frozen=True, slots=True)
class Shots:
    """Pictures of one person.

    Attributes:
        truth: (S, S, 3) linear true texture; seen: (S, S) where it is known.
        lit: two pictures from the front, in two lights.
        turned: one from the side.
    """

    truth: np.ndarray
    seen: np.ndarray
    lit: tuple[np.ndarray, np.ndarray]
    turned: np.ndarray


class Studio:
    """Takes the pictures.

    Args:
        data: the data folder.
        seed: of people and lights.
    """

    def __init__(self, data: Path, seed: int) -> None:
        self._people = People(data, texture_size=1024)
        self._lights, self._rooms = LightLibrary(data), BackgroundLibrary(data)
        self._renderer = SceneRenderer((SIZE, SIZE))
        self._seed, self._model = seed, load_head_model()

    def shots(self, number: int) -> Shots:
        """Take the pictures of one held-out person."""
        person = self._people.sample(np.random.default_rng([self._seed, _PERSON, 1, number]), True)
        rng = np.random.default_rng([self._seed, _SCENE, number])
        portrait = self._people.portrait(person, {}, np.zeros(3))
        room = self._rooms.sample(rng, (SIZE, SIZE))
        front, side = self._camera(0.0), self._camera(float(rng.choice([-_TURN, _TURN])))

        def shot(camera: Camera, light: Lighting) -> np.ndarray:
            layers = self._renderer.draw(portrait, camera, light)
            scene = np.nan_to_num(layers.colour) + room * (1 - layers.alpha)[..., None]
            return photograph(scene.clip(0, 32).astype(np.float32), rng, 0.0)

        even = np.zeros((9, 3), np.float32)
        even[0] = _EVEN
        plain = Lighting(even, np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32), -1)
        layers = self._renderer.draw(portrait, front, plain)
        vertices = transform_points(
            front.camera_from_head, portrait.model_vertices_mm.astype(np.float64)
        )
        picture = display_from_linear(np.nan_to_num(layers.colour))
        flat = flatten(
            np.round(picture).astype(np.uint8), vertices, front.intrinsics, self._model, SIZE
        )
        face = np.isin(layers.labels, _FACE_LABELS).astype(np.float32)
        face = sample_grid(vertices, front.intrinsics, self._model, SIZE).sample(face)
        lit = [shot(front, self._lights.sample(rng)) for _ in range(2)]
        return Shots(
            linear_from_display(flat.colours),
            flat.seen * (face > 0.9),
            (lit[0], lit[1]),
            shot(side, self._lights.sample(rng)),
        )

    @staticmethod
    def _camera(yaw: float) -> Camera:
        pose = rigid_transform(
            rotation_from_angles(yaw, 0.0, 0.0), np.array([0.0, -25.0, _DISTANCE_MM])
        )
        return Camera((SIZE, SIZE), pinhole_camera(SIZE, SIZE, 1.6 * SIZE), pose)


def matched(colours: np.ndarray, truth: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Bring linear colours (S, S, 3) to the level of others, by one gain a channel."""
    logs = np.log(truth[where] + 1e-3) - np.log(colours[where] + 1e-3)
    return colours * np.exp(np.median(logs, axis=0))


def distance(colours: np.ndarray, truth: np.ndarray, where: np.ndarray, known: np.ndarray) -> float:
    """Return the root mean square distance as displayed, 0…255."""
    shown = display_from_linear(matched(colours, truth, known))
    return float(np.sqrt(((shown - display_from_linear(truth))[where] ** 2).mean()))


def psnr(rms: float) -> float:
    """Return the peak signal-to-noise ratio in dB of a distance."""
    return float(20 * np.log10(255 / max(rms, 1e-6)))


def measure(shots: Shots, reader: PhotoReader, folder: Path) -> dict[str, float]:
    """Measure one person; a picture is written to a folder since sources are read from files."""
    model = load_head_model()
    skin = (label_map(model, SIZE) == 1) & (front_of_face(model, SIZE) > 0)
    found: dict[str, float] = {}

    def skin_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, PhotoSkin]:
        """Return a texture as it is drawn, as it is in the picture, and what is between."""
        path = folder / "shot.png"
        write_picture(path, pixels)
        (photo,) = reader.read([PhotoSpec(path)])
        one = photo_skin(photo, model, SIZE)
        vertices = transform_points(
            photo.head.camera_from_head,
            model.shape(photo.head.identity, photo.head.expression) + one.offset_mm,
        )
        raw = flatten(pixels, vertices, photo.head.camera, model, SIZE)
        lit = one.seen * (1 - cast_shadow(one.albedo, one.seen))
        drawn = without_relief(completed(one.albedo, lit, one.expected, model), one.expected, model)
        return drawn, linear_from_display(raw.colours), one

    first, second = (skin_of(pixels) for pixels in shots.lit)
    in_both = np.minimum(first[2].seen, second[2].seen)
    both = skin & (np.minimum(in_both, shots.seen) > 0.7)
    pairs = {"after": (first[0], second[0]), "before": (first[1], second[1])}
    for name, pair in pairs.items():
        found[f"two lights, {name}"] = distance(*pair, both, both)
        to_truth = [distance(each, shots.truth, both, both) for each in pair]
        found[f"from truth, {name}"] = float(np.mean(to_truth))
    drawn, raw, turned = skin_of(shots.turned)
    albedo, seen = turned.albedo, turned.seen
    known = skin & (seen > 0.7) & (shots.seen > 0.7)
    hidden = skin & (seen < 0.2) & (shots.seen > 0.5)
    found["hidden share"] = float(hidden.sum() / skin.sum())
    ways = {
        "as drawn": drawn,
        "plain mirror": pull_push(*_plain_mirror(albedo, seen)),
        "smooth fill": pull_push(albedo, seen),
        "mirror, light kept": pull_push(*_plain_mirror(raw, seen)),
    }
    for name, texture in ways.items():
        found[f"hidden: {name}, dB"] = psnr(distance(texture, shots.truth, hidden, known))
    return found


def _plain_mirror(albedo: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    other = np.where((seen > 0.5)[..., None], albedo, albedo[:, ::-1])
    return other, np.maximum(seen, seen[:, ::-1])


def main(data: Path = Path("../shared/data"), people: int = 12, seed: int = 5) -> None:
    """Print the table."""
    rows: dict[str, list[float]] = defaultdict(list)
    studio = Studio(data, seed)
    networks = Networks(NetworkSettings(hair_depth=False, refine=False))
    reading = PhotoReader(load_head_model(), networks)
    with networks, reading as reader, tempfile.TemporaryDirectory() as folder:
        for number in range(people):
            try:
                found = measure(studio.shots(number), reader, Path(folder))
            except UserError as error:
                print(f"person {number} is left out: {error}")
                continue
            for name, value in found.items():
                rows[name].append(value)
    for name, values in rows.items():
        middle = f"median {np.nanmedian(values):.2f}, n {len(values)}"
        print(f"{name:32s} {np.nanmean(values):7.2f}   ({middle})")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.evaluate_swap.source_synthetic", description=__doc__)
