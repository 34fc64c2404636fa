"""``voltface flatten`` from outside."""

import cv2
import numpy as np
import pytest
from videos import CLIP

from stream.cli import run_command
from stream.errors import UserError
from stream.media import open_source, write_picture


@pytest.fixture
def photo(tmp_path):
    with open_source(str(CLIP)) as source:
        pixels = next(iter(source)).pixels
    write_picture(tmp_path / "in.png", pixels)
    return tmp_path / "in.png"


def test_unseen_texels_are_transparent(photo, tmp_path):
    out = tmp_path / "out.png"
    assert run_command(["flatten", str(photo), str(out), "--size", "128", "--quiet"]) == 0
    picture = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (128, 128, 4)
    assert (picture[..., 3] == 0).mean() > 0.3 and (picture[..., 3] == 255).mean() > 0.1


def test_a_complete_texture_has_no_gaps(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out.png"
    assert run_command(["flatten", str(photo), str(out), "--size", "128", "--complete"]) == 0
    picture = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (128, 128, 3) and np.ptp(picture) > 60
    assert list((tmp_path / "cache" / "sources").glob("*.npz"))


def test_wrong_sizes_and_targets_are_refused(photo, tmp_path):
    with pytest.raises(UserError, match="--size is 8"):
        run_command(["flatten", str(photo), str(tmp_path / "out.png"), "--size", "8"])
    with pytest.raises(UserError, match="it is an input"):
        run_command(["flatten", str(photo), str(photo)])
    with pytest.raises(UserError, match="does not exist"):
        run_command(["flatten", str(photo), str(tmp_path / "none" / "out.png")])
