import cv2
import numpy as np
import pytest

from stream.sight import (
    BACKGROUND,
    BODY,
    HAIR,
    NECK,
    OCCLUDER,
    HeadSight,
    Sight,
    as_input,
    clothes,
    held_things,
    see_cloth,
    told_background,
)


class Person:
    """Stands for the person network."""

    def segment(self, square):
        return (square[..., 0] > 100).astype(np.float32)


class Labeller:
    """Stands for `head_segmentation`: brightness decides between hair and background."""

    def __call__(self, picture):
        answer = np.zeros((1, 9, 256, 256), np.float32)
        answer[0, HAIR] = picture[0, 0]
        answer[0, BACKGROUND] = 1 - picture[0, 0]
        return {"probabilities": answer}


def sight_of(things):
    labels = np.zeros((9, 256, 256), np.float32)
    labels[OCCLUDER] = things
    square = np.zeros((256, 256, 3), np.uint8)
    return Sight(square, np.ones((256, 256), np.float32), labels)


def test_a_crop_of_any_shape_is_looked_at_as_a_square():
    crop = np.zeros((90, 160, 3), np.uint8)
    crop[:, 80:] = 255
    sight = HeadSight(Person(), Labeller()).look(crop)
    assert sight.square.shape == (256, 256, 3)
    hair = sight.share(HAIR)
    assert hair[:, :120].max() == 0
    assert hair[:, 136:].min() == 1
    np.testing.assert_allclose(sight.share(HAIR, BACKGROUND), 1)


def test_without_the_network_there_are_no_labels():
    sight = HeadSight(Person()).look(np.full((50, 50, 3), 200, np.uint8))
    assert sight.labels is None
    assert sight.share(HAIR, NECK) is None
    assert sight.person.min() == 1
    assert held_things(sight, 100) is None


def test_the_input_of_a_network_keeps_the_order_of_colours():
    square = np.zeros((256, 256, 3), np.uint8)
    square[..., 0] = 255
    planes = as_input(square)
    assert planes.shape == (1, 3, 256, 256)
    assert planes.dtype == np.float32
    assert planes[0].mean(axis=(1, 2)) == pytest.approx([1, 0, 0])


def test_a_hand_that_comes_from_below_is_held_and_glasses_are_not():
    things = np.zeros((256, 256), np.float32)
    things[150:256, 100:140] = 0.9  # a hand before the chin
    things[80:90, 60:200] = 0.9  # glasses
    held = held_things(sight_of(things), chin_row=170)
    assert held[200, 120] == pytest.approx(0.9)
    assert held[85].max() == 0


def test_specks_are_not_held():
    things = np.zeros((256, 256), np.float32)
    things[240:250, 100:110] = 1
    assert held_things(sight_of(things), chin_row=170).max() == 0


def test_labels_do_for_the_next_look_and_not_for_the_one_after():
    labeller, dark, light = Labeller(), np.zeros((90, 90, 3), np.uint8), np.full((90, 90, 3), 255)
    looks = HeadSight(Person(), labeller)
    first = looks.look(dark)
    second = looks.labelled(looks.glance(light.astype(np.uint8)), first)
    third = looks.labelled(looks.glance(light.astype(np.uint8)), second)
    assert second.labels is first.labels
    assert second.cloth is first.cloth
    assert second.person.min() == 1
    assert third.share(HAIR).min() == 1


def people_found(pictures):
    """Return which of pictures that follow each other the person was looked for in."""
    found, last, looks = [], None, HeadSight(Person())
    for picture in pictures:
        last = looks.glance(picture, last)
        found.append(last.found is last.coarse)
    return found


def test_a_person_does_for_one_more_glance_where_nothing_moves():
    still = np.random.default_rng(0).integers(20, 230, (256, 256, 3), np.uint8)
    noise = np.random.default_rng(1).integers(0, 9, (4, 256, 256, 3), np.uint8)
    assert people_found([cv2.add(still, more) for more in noise]) == [True, False, True, False]
    blinked = still.copy()
    blinked[96:104, 88:104] = 255  # two blocks
    assert people_found([still, blinked]) == [True, False]


def test_a_person_that_moves_is_looked_for_again():
    picture = np.full((256, 256, 3), 120, np.uint8)
    picture[60:, 80:170] = 20
    assert people_found([picture, np.roll(picture, 1, axis=1)]) == [True, True]
    looks = HeadSight(Person())
    last = looks.glance(picture)
    assert looks.glance(picture, last).person is last.person
    assert looks.glance(picture).person is not last.person


class CountingLabeller(Labeller):
    """Counts how often it is asked."""

    asked = 0

    def __call__(self, picture):
        self.asked += 1
        return super().__call__(picture)


def asked_for(pictures):
    """Return how often labels are made for pictures that follow each other."""
    labeller, last = CountingLabeller(), None
    looks = HeadSight(Person(), labeller)
    for picture in pictures:
        last = looks.labelled(looks.glance(picture), last)
    return labeller.asked


def test_labels_are_made_half_as_often_while_the_picture_rests():
    still = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    noise = np.random.default_rng(1).integers(0, 9, (16, 256, 256, 3), np.uint8)
    assert asked_for([still] * 16) == 4
    assert asked_for([cv2.add(still, more) for more in noise]) == 4


def test_labels_are_made_as_often_as_ever_where_something_comes_in():
    """A hand, no larger than a twentieth of the picture, comes up from below."""
    frames = np.full((16, 256, 256, 3), 90, np.uint8)
    for number, frame in enumerate(frames):
        frame[256 - 6 * number :, 100:156] = 160
    assert asked_for(frames) == 8


def test_cloth_ends_where_the_picture_does():
    """The collar begins with row 130; labels pass from neck to cloth over twelve rows."""
    square = np.full((256, 256, 3), (190, 150, 130), np.uint8)
    square[130:] = (30, 40, 90)
    labels = np.zeros((9, 256, 256), np.float32)
    labels[BODY] = np.clip((np.arange(256)[:, None] - 124) / 12, 0, 1)
    labels[NECK] = 1 - labels[BODY]
    seen = see_cloth(labels, square)
    before, after = seen.share[129, 128], seen.share[130, 128]
    assert after - before > 4 * (labels[BODY, 130, 128] - labels[BODY, 129, 128])
    assert (seen.taken >= seen.share).all()
    assert seen.taken.sum() > seen.share.sum()
    assert seen.unlike[130, 128] == 1


def test_what_lies_beside_a_shoulder_goes_with_its_cloth_and_beside_hair_with_hair():
    sight = sight_of(0)
    sight.labels[BACKGROUND] = 1
    for label, rows in ((HAIR, slice(40, 120)), (BODY, slice(120, 256))):
        sight.labels[label, rows, 80:180] = 1
        sight.labels[BACKGROUND, rows, 80:180] = 0
    found = clothes(sight)
    assert found.shape == (128, 128)
    assert found[100, 30] == pytest.approx(1, abs=1e-5)
    assert found[40, 30] == 0
    assert found[100, 60] == pytest.approx(1, abs=1e-5)
    assert found[40, 60] == 0


def test_half_covered_pixels_at_the_edge_of_cloth_are_cloth():
    sight = sight_of(0)
    sight.labels[BACKGROUND] = 1
    sight.labels[BODY, 100:], sight.labels[BACKGROUND, 100:] = 1, 0
    sight.labels[BODY, 98:100], sight.labels[BACKGROUND, 98:100] = 0.6, 0.4
    assert clothes(sight).min() > 0.95


def test_clothes_without_labels_or_without_background():
    square = np.zeros((256, 256, 3), np.uint8)
    assert clothes(Sight(square, square[..., 0].astype(np.float32))) is None
    full = sight_of(0)
    full.labels[BODY] = 0.7
    np.testing.assert_allclose(clothes(full), 0.7)


def test_labels_tell_background_except_near_hair():
    labels = np.zeros((9, 256, 256), np.float32)
    labels[BACKGROUND, :128], labels[BODY, 128:] = 1, 1
    labels[BACKGROUND, :100, :40], labels[HAIR, :100, :40] = 0, 1
    told = told_background(labels)
    assert (told[:50, 30:] > 0.99).all()
    assert (told[:50, :22] < 0.01).all()  # hair, and where its tips may be
    assert (told[70:] < 0.01).all()


def test_what_labels_tell_is_kept_as_long_as_they_are():
    class Labeller:
        def __call__(self, picture):
            labels = np.zeros((1, 9, 256, 256), np.float32)
            labels[0, BACKGROUND] = 1
            return {"probabilities": labels}

    sight = HeadSight(None, Labeller())
    seen = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32))
    first = sight.labelled(seen)
    second = sight.labelled(seen, first)
    assert second.age == 1
    assert second.told is first.told
    assert (first.told > 0.99).all()
