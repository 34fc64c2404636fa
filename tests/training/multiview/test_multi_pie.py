import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from stream.errors import UserError
from training.multiview.multi_pie import multi_pie_pairs, shot_of, view_groups


def write(root, name, level):
    """Put a picture where Multi-PIE keeps it."""
    subject, session, recording, camera, _ = name.split("_")
    folder = (
        root / f"session{session}" / "multiview" / subject / recording / f"{camera[:2]}_{camera[2]}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{name}.png"), np.full((8, 8, 3), level, np.uint8))


def made_up(root):
    for camera, level in (("051", 10), ("140", 20), ("080", 30), ("240", 40), ("191", 50)):
        write(root, f"001_01_02_{camera}_07", level)
    write(root, "001_01_02_051_08", 60)  # another light: no second view of it
    write(root, "002_01_01_051_00", 70)
    (root / "notes.txt").write_text("not a picture")


def test_names_say_who_when_and_from_where():
    shot = shot_of("001_02_03_051_07.png")
    assert shot is not None
    assert (shot.subject, shot.session, shot.recording, shot.light, shot.camera) == (
        "001", "02", "03", "07", "051",
    )  # fmt: skip
    assert shot_of("001_02_03_051_07_crop_128.JPG") is not None
    assert shot_of("portrait_1_2_3_4.png") is None


def test_views_of_one_moment_go_together_without_profiles_and_from_above(tmp_path):
    made_up(tmp_path)
    (views,) = view_groups(tmp_path)
    assert set(views) == {"051", "140", "080"}


def test_pairs_are_of_one_moment_and_turned(tmp_path):
    made_up(tmp_path)
    pairs = list(multi_pie_pairs(tmp_path, per_moment=9))
    levels = {tuple(sorted(int(one.pixels[0, 0, 0]) for one in pair)) for pair in pairs}
    assert levels == {(10, 20), (10, 30), (20, 30)}
    assert all(one.identity is None and one.fitted is None for pair in pairs for one in pair)
    assert len(list(multi_pie_pairs(tmp_path, per_moment=1))) == 1


def test_an_absent_or_empty_folder_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(UserError, match="licensed"):
        view_groups(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no two pictures"):
        view_groups(tmp_path)


def test_a_damaged_picture_is_named(tmp_path):
    write(tmp_path, "003_01_01_051_00", 1)
    write(tmp_path, "003_01_01_140_00", 2)
    next(tmp_path.rglob("003_01_01_140_00.png")).write_bytes(b"no picture")
    with pytest.raises(UserError, match="003_01_01_140_00"):
        list(multi_pie_pairs(tmp_path))
