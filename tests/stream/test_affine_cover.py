"""What lies before a face stays before it, by a labeller that is made up."""

from dataclasses import replace

import numpy as np
import pytest
from videos import clip_frames

from engines.errors import NotShippedError
from stream import networks
from stream.affine_cover import FaceCover, head_crop, open_labeller
from stream.affine_source import lifted_face
from stream.affine_swap import AffineSwapper
from stream.frame import Frame
from stream.head_model import load_head_model
from stream.keypoint_mesh import mirror_order
from stream.media import StreamInfo, write_picture
from stream.pose import PoseRequest
from stream.region import Region
from stream.settings import Settings
from stream.sight import FACE, HAIR, OCCLUDER
from stream.stats import StageTimer


class Labeller:
    """Sees a thing in the lower half of the crop, or wherever else it is told to."""

    def __init__(self, label=OCCLUDER, rows=slice(128, 256)):
        self.label, self.rows, self.calls = label, rows, 0

    def __call__(self, picture):
        self.calls += 1
        found = np.zeros((1, 9, 256, 256), np.float32)
        found[:, FACE] = 1
        found[:, :, self.rows] = 0
        found[:, self.label, self.rows] = 1
        return {"probabilities": found}

    def close(self):
        pass

    as_stats = {"backend": "none", "device": "none", "precision": "fp32"}  # noqa: RUF012


def points(x=300.0, y=240.0, scale=1.0):
    return load_head_model().points478().astype(float) * scale + [x, y, 0]


@pytest.mark.parametrize("label", [HAIR, OCCLUDER])
def test_things_and_hair_are_found_where_the_crop_shows_them(label):
    pixels, place = np.zeros((480, 640, 3), np.uint8), points()
    head = head_crop(place)
    hidden = FaceCover(Labeller(label)).within(pixels, place, Region(0, 0, 640, 480))
    middle = (head.y0 + head.y1) // 2
    assert hidden[middle + 12 : head.y1 - 5, 300].min() > 250
    assert hidden[head.y0 + 5 : middle - 12, 300].max() < 5
    assert not hidden[:, : head.x0 - 2].any()


def test_a_face_itself_hides_nothing():
    pixels = np.zeros((480, 640, 3), np.uint8)
    assert not FaceCover(Labeller(FACE)).within(pixels, points(), Region(200, 100, 400, 300)).any()


def test_any_part_of_the_frame_may_be_asked_for():
    pixels, place = np.zeros((480, 640, 3), np.uint8), points(scale=0.7)
    whole = FaceCover(Labeller()).within(pixels, place, Region(0, 0, 640, 480))
    part = Region(250, 180, 350, 320)
    apart = FaceCover(Labeller()).within(pixels, place, part).astype(int) - part.crop(whole)
    assert np.abs(apart).max() <= 1


def test_it_looks_at_every_other_frame_and_forgets_slowly():
    labeller = Labeller()
    cover, pixels = FaceCover(labeller), np.zeros((480, 640, 3), np.uint8)
    inside = (400, 300)
    seen = []
    for frame in range(8):
        if frame == 2:
            labeller.label = FACE
        seen.append(int(cover.within(pixels, points(), Region(0, 0, 640, 480))[inside]))
    assert labeller.calls == 4
    assert seen[0] == seen[1] == 255
    assert 100 < seen[2] < 150
    assert seen[-1] < 40


def test_the_crop_is_that_of_the_head_network_at_any_size():
    small, large = head_crop(points(scale=0.5)), head_crop(points(scale=1.0))
    assert large.width == pytest.approx(360, abs=3)
    assert large.height == pytest.approx(445, abs=3)
    assert small.width == pytest.approx(180, abs=3)


def test_without_the_network_nothing_is_known(monkeypatch):
    def absent(*_args, **_options):
        raise NotShippedError("head_segmentation", "not there", "none")

    monkeypatch.setattr(networks, "open_engine", absent)
    assert open_labeller() is None


def test_a_covered_point_of_a_source_is_not_pasted_or_comes_from_the_other_side():
    place = points(120, 120, 0.9)
    pixels = np.full((260, 260, 3), 120, np.uint8)
    cover = np.ones(478, np.float32)
    partner = mirror_order(478)
    one_sided, both = 50, 151  # a cheek; the middle of the forehead, which is its own partner
    cover[[one_sided, both]] = 0
    face = lifted_face(pixels, place[:, :2], place[:, 2], cover)
    assert partner[both] == both
    assert face.mirrored[one_sided] > 0.9
    assert face.cover[one_sided] > 0.9
    assert face.cover[both] == 0
    bare = lifted_face(pixels, place[:, :2], place[:, 2], cover, mirror=False)
    assert bare.cover[one_sided] == 0


def test_what_lies_before_the_video_stays(monkeypatch, tmp_path):
    pixels = clip_frames(1)[0]
    source = tmp_path / "source.png"
    write_picture(source, (pixels[:, ::-1] * [0.6, 0.8, 1.0]).astype(np.uint8))
    info = StreamInfo(width=640, height=480, fps=25.0, still=True)
    changed = {}
    for occlusion in (True, False):
        labeller = Labeller(label=FACE)
        monkeypatch.setattr("stream.affine_swap.open_labeller", lambda _, made=labeller: made)
        settings = replace(Settings(), affine=replace(Settings().affine, occlusion=occlusion))
        with AffineSwapper(settings, info, StageTimer(), sources=[source]) as path:
            labeller.label, labeller.rows = OCCLUDER, slice(0, 256)
            shown = path.process(Frame(pixels), PoseRequest()).pixels
        changed[occlusion] = np.abs(shown.astype(int) - pixels).max(axis=2)
        assert (labeller.calls > 0) == occlusion
    assert changed[True].max() <= 3
    assert (changed[False] > 8).mean() > 0.02
