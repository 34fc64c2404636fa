import numpy as np
import pytest

from stream.errors import UserError
from training.depthnets.text import (
    read_affine,
    read_depth,
    read_keypoints,
    read_triangles,
    write_rows,
)


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    for read, rows in (
        (read_keypoints, rng.uniform(0, 80, (68, 2))),
        (read_depth, rng.normal(size=68)),
        (read_affine, rng.normal(size=(2, 4))),
    ):
        write_rows(tmp_path / "sub" / "x.txt", rows)
        assert np.allclose(read(tmp_path / "sub" / "x.txt"), rows, rtol=1e-4)


def test_commas_and_a_third_column_are_read(tmp_path):
    (tmp_path / "x.csv").write_text("1,2,3\n4,5,6\n\n")
    assert read_keypoints(tmp_path / "x.csv").tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_keypoints, "1 2 3 4\n"),
        (read_keypoints, "1 2\n3\n"),
        (read_keypoints, ""),
        (read_keypoints, "1 two\n"),
        (read_depth, "1\nnan\n"),
        (read_affine, "1 2 3 4\n"),
        (read_affine, "1 2 3\n4 5 6\n"),
        (lambda path: read_triangles(path, 3), "0 1 3\n"),
        (lambda path: read_triangles(path, 3), "0 1 -1\n"),
        (lambda path: read_triangles(path, 3), "0 1 1.5\n"),
    ],
)
def test_other_content_is_refused(tmp_path, read, content):
    path = tmp_path / "bad.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=r"bad\.txt"):
        read(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.txt"):
        read_depth(tmp_path / "gone.txt")
