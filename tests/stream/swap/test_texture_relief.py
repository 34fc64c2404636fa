"""Hard light that is left in a texture: patches are pressed, features stay."""

import cv2
import numpy as np
import pytest
from swap_faces import MODEL

from stream.swap.texture_map import texel_map
from stream.swap.texture_relief import without_relief

SIZE = 256
SKIN = np.array([0.5, 0.3, 0.2], np.float32)


def plain():
    return np.broadcast_to(SKIN, (SIZE, SIZE, 3)).copy()


def place(point):
    """The texel of one of the iBUG points."""
    mark = np.zeros(len(MODEL.vertices), np.float32)
    mark[MODEL.triangles[MODEL.points68_triangle[point]]] = 1
    painted = texel_map(MODEL, SIZE).painted(mark[:, None])[..., 0]
    y, x = np.unravel_index(painted.argmax(), painted.shape)
    return int(x), int(y)


def cheek():
    (x, eye), (_, mouth) = place(36), place(48)
    return x, (eye + mouth) // 2


def contrast(texture, at):
    x, y = at
    return float(np.log(texture[y, x].mean() / SKIN.mean()))


def test_an_even_skin_stays_as_it_is():
    found = without_relief(plain(), plain(), MODEL)
    assert found == pytest.approx(plain(), rel=1e-3)


def test_a_broad_patch_with_a_sharp_border_is_pressed():
    texture = plain()
    cv2.circle(texture, cheek(), 22, (0.15, 0.09, 0.06), -1)
    found = without_relief(texture, plain(), MODEL)
    assert contrast(texture, cheek()) < -1.1
    assert -0.35 < contrast(found, cheek()) < 0


def test_a_mole_stays():
    texture = plain()
    cv2.circle(texture, cheek(), 1, (0.15, 0.09, 0.06), -1)
    found = without_relief(texture, plain(), MODEL)
    assert contrast(found, cheek()) < 0.85 * contrast(texture, cheek())


def test_a_brow_stays_and_so_do_lips():
    texture, brow, lip = plain(), place(19), place(57)
    cv2.line(texture, place(18), place(20), (0.05, 0.03, 0.02), 6)
    cv2.circle(texture, lip, 5, (0.5, 0.05, 0.05), -1)
    found = without_relief(texture, plain(), MODEL)
    assert contrast(found, brow) < 0.8 * contrast(texture, brow)
    assert found[lip[1], lip[0]] == pytest.approx(texture[lip[1], lip[0]], rel=0.1)


def test_colour_that_lay_in_the_dark_is_that_of_skin():
    texture = plain()
    cv2.circle(texture, cheek(), 22, (0.02, 0.06, 0.10), -1)
    x, y = cheek()
    found = without_relief(texture, plain(), MODEL)[y, x]
    assert found / found.mean() == pytest.approx(SKIN / SKIN.mean(), rel=0.15)


def test_tips_of_hair_leave_the_forehead_and_wrinkles_stay():
    (x, y), dark = place(27), (0.2, 0.12, 0.08)
    y -= 36  # up on the forehead
    wrinkled, hairy = plain(), plain()
    cv2.line(wrinkled, (x - 25, y), (x + 25, y), dark, 1)
    cv2.line(hairy, (x, y - 8), (x, y + 8), dark, 1)
    wrinkle, tip = (contrast(without_relief(one, plain(), MODEL), (x, y)) for one in
                    (wrinkled, hairy))  # fmt: skip
    assert wrinkle < -0.6
    assert tip > 0.5 * wrinkle


def socket():
    """A texel between brow and eye."""
    (x, brow), (_, eye) = place(19), place(37)
    return x, (brow + eye) // 2


def test_shade_where_brows_would_be_is_pressed():
    texture = plain()
    cv2.circle(texture, socket(), 5, tuple(0.7 * float(one) for one in SKIN), -1)
    found = without_relief(texture, plain(), MODEL)
    assert contrast(texture, socket()) < -0.34
    assert -0.26 < contrast(found, socket()) < 0


def test_sockets_of_the_skin_model_leave_no_ghost_of_a_brow():
    expected = plain()
    for one in (socket(), (SIZE - socket()[0], socket()[1])):
        cv2.circle(expected, one, 12, tuple(0.6 * float(one) for one in SKIN), -1)
    found = without_relief(plain(), expected, MODEL)
    assert contrast(found, socket()) == pytest.approx(0, abs=0.03)


def test_a_painted_shadow_below_the_lip_is_pressed():
    (x, lip), (_, chin) = place(57), place(8)
    y = lip + (chin - lip) // 3
    texture = plain()
    cv2.line(texture, (x - 8, y), (x + 8, y), (0.25, 0.12, 0.06), 3)
    found = without_relief(texture, plain(), MODEL)
    assert contrast(texture, (x, y)) < -0.7
    assert contrast(found, (x, y)) > 0.45 * contrast(texture, (x, y))
