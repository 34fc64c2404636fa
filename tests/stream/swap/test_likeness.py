"""Descriptors of faces."""

from pathlib import Path

import numpy as np
import pytest

import stream
from stream.fit import HeadFitter
from stream.frame import Frame
from stream.head_model import load_head_model
from stream.media import open_source, read_picture
from stream.swap.likeness import LENGTH, LIKELY, TRIANGLES, Likeness, skin_triangles, unwrapped_skin
from stream.track import FaceTracker

CLIP = Path(stream.__file__).parent / "assets" / "demo.mp4"
FACE = CLIP.with_name("face.jpg")


@pytest.fixture(scope="module")
def faces():
    """Two frames of one person and a picture of another, with their heads."""
    with open_source(str(CLIP)) as source:
        pictures = [frame.pixels for frame in source if frame.index in (0, 30)]
    pictures.append(read_picture(FACE)[0])
    found = []
    with FaceTracker(1, still=True) as tracker:
        for pixels in pictures:
            frame = Frame(pixels)
            (face,) = tracker.track(frame)
            found.append((pixels, HeadFitter(load_head_model()).fit(face, frame.size, 0.0)))
    return found


def test_triangles_are_spread_over_bare_skin():
    model = load_head_model()
    triangles = skin_triangles(model)
    assert triangles.shape == (TRIANGLES, 3) and (model.labels[triangles] == 1).all()
    middle = model.vertices[triangles].mean(axis=1)
    assert abs((middle[:, 0] > 0).mean() - 0.5) < 0.06


def test_the_skin_is_read_where_it_is_seen(faces):
    pixels, head = faces[0]
    skin = unwrapped_skin(pixels, head, load_head_model())
    assert skin.shape == (4, TRIANGLES) and set(np.unique(skin[3])) <= {0.0, 1.0}
    assert skin[3].mean() > 0.5
    seen = skin[:3, skin[3] > 0].mean(axis=1)
    assert seen[0] > seen[2]  # skin is red rather than blue


def test_a_person_is_more_like_themselves_than_like_another(faces):
    with Likeness("onnxruntime") as likeness:
        first, again, other = (likeness.describe(pixels, head) for pixels, head in faces)
    assert first.shape == (LENGTH,) and np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert Likeness.score(first, again) > LIKELY
    assert Likeness.score(first, again) > Likeness.score(first, other) + 0.1
    mean = Likeness.mean([first, again])
    assert Likeness.score(mean, first) > Likeness.score(first, again)


def test_without_the_network_the_shape_describes(faces, tmp_path):
    with Likeness("onnxruntime", weights=tmp_path) as likeness:
        rows = [likeness.describe(pixels, head) for pixels, head in faces]
    assert all(np.linalg.norm(row) == pytest.approx(1, abs=1e-5) for row in rows)
    assert all((row[:128] == 0).all() for row in rows)
