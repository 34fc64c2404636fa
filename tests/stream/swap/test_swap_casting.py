"""Who gets which source, and that it stays so."""

import numpy as np
import pytest

from stream.swap.casting import Casting, Role


def look(seed, noise=0.0):
    values = np.random.default_rng(seed).normal(size=64)
    values += noise * np.random.default_rng(seed + 1000).normal(size=64)
    return (values / np.linalg.norm(values)).astype(np.float32)


def test_everybody_gets_a_source_that_is_for_anyone():
    casting = Casting([Role(0)])
    casting.update({3: 10.0, 7: 90.0}, {})
    assert casting.source_of(3) == casting.source_of(7) == 0
    assert not casting.needs_looks


def test_nobody_gets_a_source_before_being_seen():
    assert Casting([Role(0)]).source_of(1) is None


def test_left_and_right_are_told_by_the_first_sight_and_stay_through_a_crossing():
    casting = Casting([Role(0, 1), Role(1, -1)])
    for share in np.linspace(0, 1, 11):
        casting.update({5: 100 + 400 * share, 6: 500 - 400 * share}, {})
        assert casting.source_of(5) == 0
        assert casting.source_of(6) == 1


def test_places_are_counted_from_the_left():
    casting = Casting([Role(0, 2)])
    casting.update({1: 300.0, 2: 100.0, 3: 200.0}, {})
    assert [casting.source_of(face) for face in (1, 2, 3)] == [None, None, 0]


def test_who_has_no_role_of_their_own_gets_the_one_for_anyone():
    casting = Casting([Role(0, 1), Role(1)])
    casting.update({1: 300.0, 2: 100.0}, {})
    assert casting.source_of(2) == 0
    assert casting.source_of(1) == 1


def test_a_role_finds_the_person_of_its_picture_wherever_he_sits():
    casting = Casting([Role(0, like=look(1)), Role(1, like=look(2))])
    casting.update({8: 50.0, 9: 90.0}, {8: look(2, 0.2), 9: look(1, 0.2)})
    assert casting.source_of(9) == 0
    assert casting.source_of(8) == 1
    assert casting.needs_looks


def test_a_stranger_does_not_get_the_role_of_a_picture():
    casting = Casting([Role(0, like=look(1))])
    casting.update({8: 50.0}, {8: look(5)})
    assert casting.source_of(8) is None


def test_a_face_may_be_recognised_later_than_it_was_seen():
    casting = Casting([Role(0, like=look(1)), Role(1)])
    casting.update({8: 50.0}, {})
    assert casting.source_of(8) == 1
    casting.update({8: 50.0}, {8: look(1, 0.2)})
    assert casting.source_of(8) == 0


def test_a_role_waits_for_a_face_that_is_hidden_for_a_while():
    casting = Casting([Role(0, 1)])
    casting.update({1: 100.0, 2: 300.0}, {})
    for _ in range(30):
        casting.update({2: 300.0}, {})
    assert casting.source_of(2) is None
    casting.update({1: 350.0, 2: 300.0}, {})
    assert casting.source_of(1) == 0


def test_a_role_goes_to_who_is_there_once_its_face_is_gone_for_good():
    casting = Casting([Role(0, 1)])
    casting.update({1: 100.0, 2: 300.0}, {})
    for _ in range(70):
        casting.update({2: 300.0}, {})
    assert casting.source_of(2) == 0


def test_who_comes_back_as_a_new_face_gets_his_former_role():
    casting = Casting([Role(0, 1), Role(1, -1)])
    looks = {1: look(1), 2: look(2)}
    casting.update({1: 100.0, 2: 300.0}, looks)
    casting.update({2: 100.0}, {2: look(2)})
    casting.update({2: 100.0, 7: 300.0}, {2: look(2), 7: look(1, 0.1)})
    assert casting.source_of(7) == 0
    assert casting.source_of(2) == 1


def test_after_a_cut_roles_are_given_anew_and_looks_are_remembered():
    casting = Casting([Role(0, 1), Role(1, -1)])
    casting.update({1: 100.0, 2: 300.0}, {1: look(1), 2: look(2)})
    casting.reset()
    assert casting.source_of(1) is None
    casting.update({5: 100.0, 6: 300.0}, {5: look(2, 0.1), 6: look(1, 0.1)})
    assert casting.source_of(6) == 0
    assert casting.source_of(5) == 1


@pytest.mark.parametrize("role", [Role(0), Role(0, 1), Role(0, like=look(1))])
def test_only_a_role_without_words_is_for_anyone(role):
    assert role.for_anyone == (role.place is None and role.like is None)
