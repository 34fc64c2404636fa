import numpy as np
import pytest

from stream.head_model import load_head_model
from training.synthetic.expressions import sample_expression

COUNT = 4000
GAZE = tuple(f"eyeLook{way}" for way in ("In", "Out", "Up", "Down"))


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    return [sample_expression(rng) for _ in range(COUNT)]


def test_units_are_those_of_the_head_model(drawn):
    names = set(load_head_model().expression_names)
    assert {name for face in drawn for name in face} <= names


def test_nearly_all_units_occur(drawn):
    used = {name for face in drawn for name in face}
    # These two only make sense as parts of mixes that are not drawn yet.
    assert set(load_head_model().expression_names) - used <= {"mouthClose", "mouthShrugUpper"}


def test_strengths_lie_in_range(drawn):
    values = np.array([value for face in drawn for value in face.values()])
    assert values.min() > 0.0
    assert values.max() <= 1.0
    assert all(type(value) is float for face in drawn[:50] for value in face.values())


def test_both_eyes_blink_together_but_for_winks(drawn):
    left, right = (
        np.array([face.get(f"eyeBlink{side}", 0.0) for face in drawn]) for side in ("Left", "Right")
    )
    assert np.mean(left != right) < 0.08
    assert np.mean(np.abs(left - right) > 0.15) > 0.0
    assert 0.04 < np.mean(np.minimum(left, right) > 0.5) < 0.13


def test_shut_eyes_are_not_torn_open(drawn):
    for face in drawn:
        for side in ("Left", "Right"):
            if face.get(f"eyeBlink{side}", 0.0) > 0.5:
                assert f"eyeWide{side}" not in face


def test_both_eyes_look_the_same_way(drawn):
    for face in drawn:
        assert face.get("eyeLookOutLeft", 0.0) == face.get("eyeLookInRight", 0.0)
        assert face.get("eyeLookInLeft", 0.0) == face.get("eyeLookOutRight", 0.0)
        for way in ("Up", "Down"):
            assert face.get(f"eyeLook{way}Left", 0.0) == face.get(f"eyeLook{way}Right", 0.0)
        assert not {"eyeLookOutLeft", "eyeLookInLeft"} <= set(face)
        assert not {"eyeLookUpLeft", "eyeLookDownLeft"} <= set(face)


def test_eyes_wander_to_either_side(drawn):
    across = [face.get("eyeLookOutLeft", 0) - face.get("eyeLookInLeft", 0) for face in drawn]
    assert abs(np.mean(across)) < 0.03
    assert 0.2 < np.std(across) < 0.3


def test_sides_of_a_smile_are_alike_but_not_the_same(drawn):
    pairs = np.array([
        (face["mouthSmileLeft"], face["mouthSmileRight"])
        for face in drawn
        if "mouthSmileLeft" in face and "mouthSmileRight" in face
    ])  # fmt: skip
    assert len(pairs) > 0.2 * COUNT
    assert np.corrcoef(pairs.T)[0, 1] > 0.85
    assert np.mean(pairs[:, 0] == pairs[:, 1]) < 0.05


def test_some_faces_rest_and_some_speak(drawn):
    at_ease = {"browInnerUp": 0.55, "browOuterUp": 0.45, "mouthSmile": 0.3}

    def moves(face):
        return {
            name for name, value in face.items()
            if value > at_ease.get(name.removesuffix("Left").removesuffix("Right"), 0.05)
            and not name.startswith((*GAZE, "eyeBlink"))
        }  # fmt: skip

    resting = np.mean([not moves(face) for face in drawn])
    assert 0.15 < resting < 0.42
    assert 0.2 < np.mean([face.get("jawOpen", 0.0) > 0.1 for face in drawn]) < 0.6


def test_faces_are_more_or_less_at_ease(drawn):
    brows = np.array([face["browInnerUp"] for face in drawn])
    assert 0.1 < np.median(brows) < 0.3 and np.quantile(brows, 0.05) < 0.06
    smiles = np.array([face["mouthSmileLeft"] for face in drawn])
    assert 0.05 < np.median(smiles) < 0.35


def test_a_tongue_comes_out_of_an_open_mouth(drawn):
    out = [face for face in drawn if "tongueOut" in face]
    assert 0.01 < len(out) / COUNT < 0.05
    assert all(face["jawOpen"] >= 0.25 for face in out)


def test_one_seed_gives_one_face():
    first, second, other = (sample_expression(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != other
