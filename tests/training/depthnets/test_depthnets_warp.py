"""The warp as a command: the paper's files in, the paper's picture out."""

import cv2
import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from toy_people import toy_people

from stream.errors import UserError
from stream.gl import create_context
from training.depthnets import program
from training.depthnets.text import write_rows


@pytest.fixture(scope="module", autouse=True)
def _opengl():
    try:
        create_context().release()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture
def files(tmp_path):
    """A noisy picture and a face that stays where it is."""
    faces = toy_people(count=1, views=1)
    source = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "source.png"), source)
    write_rows(tmp_path / "keypoints.txt", 80 * (faces.points[0] + 0.5))
    write_rows(tmp_path / "depth.txt", 80 * faces.depth[0])
    write_rows(tmp_path / "affine.txt", np.eye(2, 4))
    return tmp_path


def arguments(folder, **other):
    names = {
        "source": "source.png",
        "keypoints": "keypoints.txt",
        "depth": "depth.txt",
        "affine": "affine.txt",
    } | other
    return [x for name, file in names.items() for x in (f"--{name}", str(folder / file))]


def test_it_writes_the_face_on_black(files):
    program.run(["warp", *arguments(files), str(files / "out" / "out.png")])
    drawn = cv2.imread(str(files / "out" / "out.png"), cv2.IMREAD_UNCHANGED)
    source = cv2.imread(str(files / "source.png"))
    assert drawn.shape == (80, 80, 4)
    assert drawn[..., 3].min() == 255
    face = drawn[..., :3].any(axis=2)
    assert 0.3 < face.mean() < 0.9
    assert np.array_equal(drawn[face][:, :3], source[face])


def test_triangles_may_be_given(files):
    (files / "triangles.txt").write_text("0 16 8\n")
    program.run(["warp", *arguments(files, triangles="triangles.txt"), str(files / "out.png")])
    drawn = cv2.imread(str(files / "out.png"))
    corners = np.loadtxt(files / "keypoints.txt")[[0, 16, 8]].astype(np.float32)
    area = cv2.contourArea(corners)
    assert drawn.any(axis=2).sum() == pytest.approx(area, rel=0.05)


def test_other_numbers_of_keypoints_are_triangulated_by_their_places(files):
    points = np.loadtxt(files / "keypoints.txt")[:20]
    write_rows(files / "keypoints.txt", points)
    write_rows(files / "depth.txt", np.zeros(20))
    program.run(["warp", *arguments(files), "--nearest", str(files / "out.png")])
    assert cv2.imread(str(files / "out.png")).any(axis=2).sum() > 500


@pytest.mark.parametrize("case", ["000001_crop", "000002_crop", "000005_crop"])
def test_the_papers_result_is_reproduced(tmp_path, data_dir, case):
    root = data_dir / "depthnets_ref"
    folder = root / "FaceWarper" / "dataset_example"
    names = [
        x
        for kind, suffix in (("source", "png"), ("keypoints", "txt"), ("depth", "txt"),
                             ("affine", "txt"))
        for x in (f"--{kind}", str(folder / kind / f"{case}.{suffix}"))
    ]  # fmt: skip
    triangles = ["--triangles", str(root / "triangles68.txt")]
    program.run(["warp", *names, *triangles, str(tmp_path / "out.png")])
    drawn = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    wanted = cv2.imread(str(folder / "expected_result" / f"{case}.png"), cv2.IMREAD_UNCHANGED)
    assert drawn.shape == wanted.shape
    face = wanted[..., :3].any(axis=2)
    error = (drawn.astype(float) - wanted)[face][:, :3]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 60
    assert np.array_equal(drawn[..., :3].any(axis=2), face)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("depth.txt", "1\n2\n", "2 depths for 68"),
        ("affine.txt", "1 2 3\n", "affine"),
        ("triangles.txt", "0 1 68\n", "triangles"),
    ],
)
def test_files_that_do_not_fit_are_refused(files, name, content, message):
    (files / name).write_text(content)
    given = arguments(files, **({"triangles": name} if name == "triangles.txt" else {}))
    with pytest.raises(UserError, match=message):
        program.run(["warp", *given, str(files / "out.png")])


def test_an_absent_picture_is_named(files):
    with pytest.raises(UserError, match=r"gone\.png"):
        program.run(["warp", *arguments(files, source="gone.png"), str(files / "out.png")])
