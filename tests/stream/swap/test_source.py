"""Sources: from photos to a texture, kept in a cache, with clear words where a photo is no good."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import stream
from stream.errors import UserError
from stream.head_model import load_head_model
from stream.media import open_source, write_picture
from stream.networks import Networks, NetworkSettings
from stream.swap.likeness import LENGTH
from stream.swap.source import flat_picture, make_source, prepare_source
from stream.swap.source_cache import SourceCache, source_key
from stream.swap.source_photo import PhotoSpec
from stream.swap.texture_map import texture_uv

CLIP = Path(stream.__file__).parent / "assets" / "demo.mp4"
SIZE = 128


@pytest.fixture(scope="module")
def frames():
    with open_source(str(CLIP)) as source:
        return [frame.pixels for frame in source if frame.index in (0, 20)]


@pytest.fixture(scope="module")
def networks():
    with Networks(NetworkSettings(hair_depth=False, refine=False), "onnxruntime") as opened:
        yield opened


@pytest.fixture(scope="module")
def photo(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "one.png"
    write_picture(path, frames[0])
    return path


@pytest.fixture(scope="module")
def source(photo, networks):
    return make_source([photo], networks, size=SIZE)


class NoNetworks:
    """Stands where no network may be asked: the answer must come from the cache."""

    def get(self, name):
        assert name in ("face_3dmm", "head_segmentation")
        return self

    def __call__(self, **arrays):
        raise AssertionError("a prepared source was made again")


def test_a_source_is_complete(source):
    vertices = len(load_head_model().vertices)
    assert source.identity.shape == (80,) and source.offset_mm.shape == (vertices, 3)
    assert source.texture.shape == (SIZE, SIZE, 3) and source.texture.dtype == np.uint8
    assert source.seen.shape == (SIZE, SIZE) and source.seen.dtype == np.uint8
    assert 0.1 < (source.seen > 128).mean() < 0.6
    assert source.descriptor.shape == (LENGTH,)
    assert np.linalg.norm(source.descriptor) == pytest.approx(1, abs=1e-5)
    assert source.names == ("one.png",)
    assert np.abs(source.offset_mm).max() < 10


def test_the_texture_is_skin_everywhere_and_has_brows(source):
    red, _, blue = source.skin_mean
    assert red > blue + 15
    model = load_head_model()
    uv, points = texture_uv(model), model.points68()
    brow = np.argmin(np.linalg.norm(model.vertices - points[19], axis=1))
    forehead = np.argmin(np.linalg.norm(model.vertices - points[19] + [0, 22, 0], axis=1))
    shades = []
    for vertex in (brow, forehead):
        column, row = (uv[vertex] * SIZE).astype(int)
        shades.append(source.texture[row - 2 : row + 3, column - 2 : column + 3].mean(axis=2).min())
    assert shades[0] < shades[1] - 15


def test_two_photos_are_fused(frames, networks, tmp_path):
    paths = []
    for number, pixels in enumerate(frames):
        paths.append(tmp_path / f"{number}.png")
        write_picture(paths[-1], pixels)
    both = make_source(paths, networks, size=SIZE)
    alone = [make_source([path], networks, size=SIZE) for path in paths]
    assert both.names == ("0.png", "1.png")
    assert all((both.seen.astype(int) >= one.seen.astype(int) - 1).mean() > 0.97 for one in alone)
    apart = [np.linalg.norm(both.identity - one.identity) for one in alone]
    between = np.linalg.norm(alone[0].identity - alone[1].identity)
    assert max(apart) < 1.2 * between + 1.0


def test_a_prepared_source_comes_from_the_cache(photo, networks, tmp_path):
    cache = SourceCache(tmp_path)
    first = prepare_source([photo], networks=networks, size=SIZE, cache=cache)
    again = prepare_source([photo], networks=NoNetworks(), size=SIZE, cache=cache)
    assert np.array_equal(first.texture, again.texture)
    assert np.array_equal(first.offset_mm, again.offset_mm)
    assert again.names == first.names and again.warnings == first.warnings


def test_a_damaged_entry_is_made_anew(photo, networks, tmp_path):
    cache = SourceCache(tmp_path)
    first = prepare_source([photo], networks=networks, size=SIZE, cache=cache)
    (entry,) = tmp_path.glob("*.npz")
    entry.write_bytes(entry.read_bytes()[:1000])
    again = prepare_source([photo], networks=networks, size=SIZE, cache=cache)
    assert np.array_equal(first.texture, again.texture)
    assert cache.find(entry.stem) is not None


def test_keys_follow_contents_size_and_face(photo, tmp_path):
    other = tmp_path / "one.png"
    other.write_bytes(photo.read_bytes())
    spec, names = PhotoSpec(photo), ["face_3dmm"]
    key = source_key([spec], SIZE, names)
    assert source_key([PhotoSpec(other)], SIZE, names) == key
    others = [
        source_key([replace(spec, number=1)], SIZE, names),
        source_key([spec], 2 * SIZE, names),
        source_key([spec], SIZE, []),
        source_key([spec, spec], SIZE, names),
    ]
    other.write_bytes(photo.read_bytes() + b"0")
    others.append(source_key([PhotoSpec(other)], SIZE, names))
    assert len({key, *others}) == 6


def test_a_folder_that_cannot_be_written_is_no_error(source, tmp_path):
    (tmp_path / "file").write_text("")
    cache = SourceCache(tmp_path / "file" / "sources")
    cache.store("key", source)
    assert cache.find("key") is None


def test_of_several_faces_the_user_says_which(frames, networks, tmp_path):
    crop = frames[0][:, frames[0].shape[1] // 2 - 200 : frames[0].shape[1] // 2 + 200]
    path = tmp_path / "two.png"
    write_picture(path, np.hstack([crop, crop[:, ::-1]]))
    with pytest.raises(UserError, match=r"2 faces.*two\.png#1 or two\.png#2"):
        make_source([path], networks, size=SIZE)
    left, right = (make_source([f"{path}#{n}"], networks, size=SIZE) for n in (1, 2))
    assert left.names == ("two.png#1",)
    mirrored = right.texture[:, ::-1].astype(int)
    skin = (left.seen > 200) & (right.seen[:, ::-1] > 200)
    assert np.abs(left.texture[skin].astype(int) - mirrored[skin]).mean() < 12
    with pytest.raises(UserError, match="no face number 3"):
        make_source([f"{path}#3"], networks, size=SIZE)


def emptied(pixels):
    return np.full_like(pixels, 90)


def tiny(pixels):
    return cv2.resize(pixels, None, fx=0.12, fy=0.12, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("spoil", "words"), [(emptied, "no face found"), (tiny, "apart|no face found")]
)
def test_photos_that_will_not_do_are_refused(frames, networks, tmp_path, spoil, words):
    path = tmp_path / "bad.png"
    write_picture(path, spoil(frames[0]))
    with pytest.raises(UserError, match=words):
        make_source([path], networks, size=SIZE)


def test_no_photo_and_a_missing_photo_are_refused(networks, tmp_path):
    with pytest.raises(UserError, match="no source photo"):
        prepare_source([], networks=networks)
    with pytest.raises(UserError, match="no such file"):
        prepare_source([tmp_path / "none.png"], networks=networks)


def test_a_flat_picture_is_white_where_nothing_was_seen(photo):
    pixels, opacity = flat_picture(photo, "onnxruntime", size=SIZE)
    assert pixels.shape == (SIZE, SIZE, 3) and opacity.shape == (SIZE, SIZE)
    assert (pixels[opacity == 0] == 255).all() and (opacity == 255).any()


def test_photo_names_are_read(tmp_path):
    odd = tmp_path / "odd#3"
    odd.write_bytes(b"")
    assert PhotoSpec.parse("a/b.jpg#12").number == 12
    assert PhotoSpec.parse("a/b.jpg#12").path.name == "b.jpg"
    assert PhotoSpec.parse(odd) == PhotoSpec(odd)
    assert PhotoSpec.parse("a/b#x.jpg").number is None
    with pytest.raises(UserError, match="counted from 1"):
        PhotoSpec.parse("a.jpg#0")
