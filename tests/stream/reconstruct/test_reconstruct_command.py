"""`voltface reconstruct` from end to end, on the picture that comes with the package."""

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import trimesh

import stream
from stream.errors import UserError
from stream.geometry import project, transform_points
from stream.media import read_picture
from stream.reconstruct.files import write_mesh
from stream.reconstruct.head import Reconstructor
from stream.reconstruct.program import Order, numbered, perform
from stream.reconstruct.turntable import HeadRenderer
from stream.settings import Settings
from stream.stats import StageTimer

FACE = Path(stream.__file__).parent / "assets" / "face.jpg"
LOW = Settings(quality="low")


@pytest.fixture(scope="module")
def pixels():
    return read_picture(FACE)[0]


@pytest.fixture(scope="module")
def reconstructor():
    with Reconstructor(LOW, StageTimer()) as opened:
        yield opened


@pytest.fixture(scope="module")
def head(reconstructor, pixels):
    return reconstructor.heads(pixels)[0]


def test_face_depth_can_be_switched_off(reconstructor, head, pixels):
    assert "face_depth" in reconstructor.engines
    off = replace(LOW, networks=replace(LOW.networks, face_depth=False))
    with Reconstructor(off, StageTimer()) as without:
        assert "face_depth" not in without.engines
        plain = without.heads(pixels)[0].surface
    moved = np.linalg.norm(plain.vertices_mm - head.surface.vertices_mm, axis=1)
    assert moved.max() > 0.5  # millimetres: the network said something


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_mesh_files_read_back(head, tmp_path, suffix):
    path = tmp_path / f"head{suffix}"
    mesh = head.mesh()
    write_mesh(path, mesh)
    found = trimesh.load(path, force="mesh", process=False)
    assert found.faces.shape == mesh.triangles.shape
    assert found.is_winding_consistent
    assert found.volume > 0  # triangles face outwards
    unit = 1000 if suffix == ".glb" else 1
    assert 250 < np.ptp(found.vertices[:, 1]) * unit < 420  # upright, and as large as a head
    assert found.vertices[:, 2].max() > -found.vertices[:, 2].min() * 0.5  # the face looks to +z
    assert found.visual.uv.shape == (len(found.vertices), 2)
    assert not list(tmp_path.glob(".*partial*"))


def test_glb_holds_texture_and_material(head, tmp_path):
    write_mesh(tmp_path / "head.glb", head.mesh())
    material = trimesh.load(tmp_path / "head.glb", force="mesh").visual.material
    texture = np.asarray(material.baseColorTexture.convert("RGB"))
    assert material.metallicFactor == 0
    height, width = head.look.pixels.shape[:2]
    assert np.abs(texture[:height, :width].astype(int) - head.look.pixels).mean() < 4


def test_obj_names_its_material_and_picture(head, tmp_path):
    write_mesh(tmp_path / "some one.obj", head.mesh())
    assert "mtllib some one.mtl" in (tmp_path / "some one.obj").read_text()
    assert "map_Kd some one.jpg" in (tmp_path / "some one.mtl").read_text()
    assert cv2.imread(str(tmp_path / "some one.jpg")) is not None


def test_texture_places_of_seen_triangles_are_those_of_the_picture(head):
    textured, surface, look = head.textured, head.surface, head.look
    assert 0.3 < textured.in_picture.mean() < 0.8
    chosen = np.flatnonzero(textured.in_picture)[::97]
    height, width = textured.picture.shape[:2]
    places = textured.corners_uv[chosen] * [width, height]
    seen = project(surface.vertices_mm[surface.triangles[chosen]], look.head.camera)
    assert np.abs(places - seen).max() < 0.05


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_solid_is_closed_and_one(head, tmp_path, suffix):
    write_mesh(tmp_path / f"solid{suffix}", head.mesh(solid=True))
    found = trimesh.load(tmp_path / f"solid{suffix}", force="mesh")
    assert found.is_watertight
    assert found.body_count == 1
    foot = found.vertices[found.vertices[:, 1] < found.vertices[:, 1].min() * 0.9999]
    assert len(foot) > 20  # it stands on a plane


def test_surface_has_no_spikes(head):
    points, triangles = head.surface.vertices_mm, head.surface.triangles
    edges = np.linalg.norm(points[triangles] - points[np.roll(triangles, 1, axis=1)], axis=-1)
    assert edges.max() < 45
    assert np.percentile(edges, 99) < 15


def test_surface_projects_onto_the_tracked_points(head, reconstructor):
    model, look = reconstructor.looker.model, head.look
    nose = transform_points(look.head.camera_from_head, model.points478(look.head.identity))[1]
    nearest = np.linalg.norm(head.surface.vertices_mm - nose, axis=1).argmin()
    at = project(head.surface.vertices_mm[nearest], look.head.camera)
    assert np.linalg.norm(at - look.face.points_px[1, :2]) < 0.03 * look.region.width


def test_arrays_are_those_of_the_contract(head, reconstructor, pixels):
    arrays = reconstructor.arrays(head)
    height, width = pixels.shape[:2]
    depth, labels = arrays["depth"], arrays["labels"]
    assert depth.shape == labels.shape == (height, width)
    assert (depth.dtype, labels.dtype) == (np.float32, np.uint8)
    assert np.array_equal(np.isfinite(depth), (labels > 0) & (labels < 7))
    assert {1, 2, 6}.issubset(np.unique(labels))
    assert arrays["camera"].shape == (3, 3)
    assert arrays["pose"].shape == (4, 4)
    assert arrays["identity"].shape == (80,)
    assert arrays["expression"].shape == (52,)
    middle = arrays["pose"][2, 3]
    assert np.nanmin(depth) > middle - 200
    assert np.nanmax(depth) < middle + 200
    # What the depth says of a pixel is where the mesh is.
    x, y = project(arrays["vertices"].astype(float), arrays["camera"]).T.astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    there = depth[y[inside], x[inside]]
    off = arrays["vertices"][inside, 2] - there
    assert np.nanpercentile(off, 3) > -4  # no vertex lies before the depth


def test_hidden_labels_fall_back_on_the_model(pixels):
    networks = Settings(quality="low").networks
    without = Settings(quality="low", networks=type(networks)(head_segmentation=False))
    with Reconstructor(without, StageTimer()) as reconstructor:
        found = reconstructor.heads(pixels)[0]
        labels = reconstructor.arrays(found)["labels"]
    assert {1, 2, 6}.issubset(np.unique(labels))


@pytest.mark.parametrize("kind", ["grey", "16 bit", "alpha", "small"])
def test_pictures_of_many_kinds(kind, pixels, tmp_path):
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    made = {
        "grey": lambda: cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY),
        "16 bit": lambda: bgr.astype(np.uint16) * 257,
        "alpha": lambda: np.dstack([bgr, np.full(bgr.shape[:2], 255, np.uint8)]),
        "small": lambda: cv2.resize(bgr, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA),
    }[kind]()
    cv2.imwrite(str(tmp_path / "in.png"), made)
    order = Order(tmp_path / "in.png", tmp_path / "out.npz", settings=LOW, quiet=True)
    assert perform(order) == [tmp_path / "out.npz"]
    assert np.isfinite(np.load(tmp_path / "out.npz")["depth"]).mean() > 0.05


def test_several_faces_views_and_statistics(pixels, tmp_path):
    cv2.imwrite(
        str(tmp_path / "two.png"), cv2.cvtColor(np.hstack([pixels, pixels]), cv2.COLOR_RGB2BGR)
    )
    order = Order(
        tmp_path / "two.png", tmp_path / "head.glb", turntable=tmp_path / "turn.mp4",
        depth_picture=tmp_path / "depth.png", settings=Settings(quality="low", faces="all"),
        stats_path=tmp_path / "stats.json", quiet=True,
    )  # fmt: skip
    assert [path.name for path in perform(order)] == ["head.glb", "head_2.glb"]
    for name in ("head_2.glb", "turn_2.mp4", "depth_2.png"):
        assert (tmp_path / name).stat().st_size > 1000
    with av.open(str(tmp_path / "turn.mp4")) as film:
        assert film.streams.video[0].frames == 72
    near = cv2.imread(str(tmp_path / "depth.png"))
    assert near.shape[1] == 2 * pixels.shape[1]
    assert near.max() == 255
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["faces_tracked"] == 2
    assert {"look", "surface", "texture", "write"}.issubset(stats["stages"])


def test_folder_in_folder_out(pixels, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(source / "a.png"), bgr)
    cv2.imwrite(str(source / "nobody.png"), np.full((200, 200, 3), 90, np.uint8))
    (source / "notes.txt").write_text("no picture")
    order = Order(source, tmp_path / "out" / "deep", suffix=".ply", settings=LOW)
    written = perform(order)
    assert [path.name for path in written] == ["a.ply"]
    assert (tmp_path / "out" / "deep" / "a.jpg").is_file()
    assert "1 of 2: a.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "out", "words"),
    [
        ("blank.png", "head.glb", "no face found"),
        ("blank.png", "head.stl", "not a format"),
        ("blank.png", "missing/head.glb", "does not exist"),
        ("absent.png", "head.glb", "no such file"),
        ("broken.png", "head.glb", "read the picture"),
    ],
)
def test_refusals(name, out, words, tmp_path):
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((240, 240, 3), 128, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(UserError, match=words):
        perform(Order(tmp_path / name, tmp_path / out, settings=LOW, quiet=True))
    assert not (tmp_path / out).exists()


def test_film_of_a_wrong_kind_is_refused_before_any_work(tmp_path):
    order = Order(FACE, tmp_path / "head.glb", turntable=tmp_path / "film.txt", settings=LOW)
    with pytest.raises(UserError, match="film"):
        perform(order)
    assert not list(tmp_path.iterdir())


def test_renderer_shows_the_picture_from_the_front(head, reconstructor):
    with HeadRenderer(reconstructor.context, head.mesh(), (200, 250)) as renderer:
        front, back = renderer.draw(0.0), renderer.draw(180.0)
    assert front.shape == (250, 200, 3)
    background = front[2, 2].astype(int)
    covered = (np.abs(front.astype(int) - background).max(axis=2) > 12).mean()
    assert 0.15 < covered < 0.8
    face, hair = front[110:140, 85:115].mean(axis=(0, 1)), back[80:110, 85:115].mean(axis=(0, 1))
    assert face.mean() > hair.mean()  # no face on the back of the head


def test_numbered():
    assert numbered(Path("a/head.glb"), 1) == Path("a/head.glb")
    assert numbered(Path("a/head.glb"), 3) == Path("a/head_3.glb")
