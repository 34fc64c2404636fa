"""The rim of a swapped face takes the colours that the frame has there."""

import numpy as np
from swap_faces import MODEL, SIZE, shaped

from stream.region import Region
from stream.swap.draw import drawn_colours, soft_border
from stream.swap.occlude import Front
from stream.swap.rim import Rim, SourceRim

TEXTURE = np.full((128, 128, 3), (200, 160, 140), np.uint8)
SEEN = np.ones(len(MODEL.vertices), np.float32)
# A light that leaves the texture as it is.
AS_IT_IS = np.hstack([np.ones((len(SEEN), 3)), np.zeros((len(SEEN), 3)),
                      np.tile(np.array([200, 160, 140]) / 255, (len(SEEN), 1))])  # fmt: skip
NOSE = MODEL.triangles[MODEL.points478_triangle[4], 0]


def met(frame, frames=20, front=None):
    """The drawn colours of all vertices after some frames, the source's rim, and the shape."""
    shape, _ = shaped()
    source, rim = SourceRim(MODEL, TEXTURE, SEEN), Rim()
    for _ in range(frames):
        light = rim(frame, shape, front, source, AS_IT_IS.astype(np.float32))
    plain = np.tile(np.array([200.0, 160.0, 140.0], np.float32), (len(SEEN), 1))
    return drawn_colours(plain, light), source, shape


def flat(colour):
    return np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)


def test_the_rim_takes_the_frames_colour_and_the_middle_keeps_its_own():
    drawn, source, shape = met(flat((160, 130, 120)))
    compared = np.isin(source.changed, source.places) & (shape.facing[source.changed] > 0.4)
    rim, share = source.changed[compared], source.fade[compared, 0]
    assert len(rim) > 10 and share.max() > 0.7
    wanted = 200 - 40 * share  # of red
    assert np.abs(drawn[rim, 0] - wanted).max() < 8
    assert np.abs(drawn[NOSE] - (200, 160, 140)).max() < 1


def test_skin_that_is_right_already_is_left_alone():
    drawn, _, _ = met(flat((200, 160, 140)))
    assert np.abs(drawn - (200, 160, 140)).max() < 1.5


def test_one_dark_flash_hardly_shows():
    shape, _ = shaped()
    source, rim = SourceRim(MODEL, TEXTURE, SEEN), Rim()
    light = AS_IT_IS.astype(np.float32)
    for colour in (200, 160, 140), (100, 80, 70):
        after = rim(flat(colour), shape, None, source, light)
    at_rim = source.places[source.trust > 0.9]
    assert after[at_rim, 0].mean() > 0.75  # of the gain; the frame has half


def test_nothing_steps_where_a_forehead_was_not_seen():
    seen = SEEN.copy()
    seen[MODEL.vertices[:, 1] < MODEL.points68()[17:27, 1].min() - 12] = 0  # under a fringe
    shape, _ = shaped()
    source, rim = SourceRim(MODEL, TEXTURE, seen), Rim()
    gains = rim(flat((160, 130, 120)), shape, None, source, AS_IT_IS.astype(np.float32))[:, 0]
    cover = soft_border(MODEL, 0.5, seen)
    ends = np.vstack([MODEL.triangles[:, :2], MODEL.triangles[:, 1:]])
    high = MODEL.vertices[:, 1] < MODEL.points68()[27, 1]
    ends = ends[(high & (cover > 0.02))[ends].all(axis=1)]
    length = np.linalg.norm(MODEL.vertices[ends[:, 0]] - MODEL.vertices[ends[:, 1]], axis=1)
    steep = np.abs(gains[ends[:, 0]] - gains[ends[:, 1]]) / np.maximum(length, 1)
    assert np.ptp(gains[ends]) > 0.1
    assert steep.max() < 0.02  # a millimetre


def test_what_is_in_front_does_not_colour_the_rim():
    frame = flat((200, 160, 140))
    frame[: SIZE[1] // 2] = 20  # a fringe
    hair = np.zeros((256, 256), np.float32)
    hair[:128] = 1
    front = Front(hair, np.zeros_like(hair), Region(0, 0, *SIZE))
    fooled, source, shape = met(frame)
    told, _, _ = met(frame, front=front)
    high = source.places[shape.own_px[source.places, 1] < SIZE[1] / 2 - 20]
    assert (200 - fooled[high, 0]).mean() > 12
    assert np.abs(200 - told[high, 0]).mean() < 2


def test_without_a_face_in_the_frame_nothing_is_found():
    shape, _ = shaped()
    source = SourceRim(MODEL, TEXTURE, SEEN)
    light = AS_IT_IS.astype(np.float32)
    after = Rim()(np.zeros((2, 2, 3), np.uint8), shape, None, source, light)
    assert np.allclose(after, light)
