"""The specs say what the networks take and give."""

import numpy as np
import pytest

from engines.spec import PRECISIONS, SPECS, TensorSpec


@pytest.mark.parametrize("spec", SPECS.values(), ids=str)
def test_samples_fit_the_spec_and_are_the_same_every_time(spec):
    first, again, other = spec.sample(2), spec.sample(2), spec.sample(2, seed=1)
    assert list(first) == [tensor.name for tensor in spec.inputs]
    for tensor in spec.inputs:
        array = first[tensor.name]
        assert array.shape == tensor.sized(2)
        assert array.dtype == np.float32
        assert tensor.low <= array.min() < array.max() <= tensor.high
        assert np.array_equal(array, again[tensor.name])
        assert not np.array_equal(array, other[tensor.name])
        assert not np.array_equal(array[0], array[1])


@pytest.mark.parametrize("spec", SPECS.values(), ids=str)
def test_specs_are_whole(spec):
    assert set(spec.precisions) <= set(PRECISIONS)
    assert "int8" not in spec.precisions
    names = [tensor.name for tensor in (*spec.inputs, *spec.outputs)]
    assert len(names) == len(set(names))
    assert all(tensor.meaning and tensor.shape[0] is None for tensor in spec.outputs)
    assert spec.file_name == f"{spec.name}.onnx"


def test_the_networks_are_those_of_the_design():
    shapes = {
        name: {tensor.name: tensor.shape[1:] for tensor in (*spec.inputs, *spec.outputs)}
        for name, spec in SPECS.items()
    }
    assert shapes["head_segmentation"] == {
        "picture": (3, 256, 256),
        "probabilities": (9, 256, 256),
    }
    assert shapes["hair_depth"] == {
        "picture": (3, 256, 256),
        "face_depth": (2, 256, 256),
        "depth": (1, 256, 256),
    }
    assert shapes["face_3dmm"]["picture"] == (3, 192, 192)
    sizes = {name: shape[0] for name, shape in shapes["face_3dmm"].items() if len(shape) == 1}
    assert sizes == {
        "identity": 80, "expression": 52, "rotation": 6, "place": 3, "texture": 40, "light": 27,
    }  # fmt: skip
    assert shapes["refine"]["masks"] == (4, 256, 256)


def test_inputs_are_checked():
    spec = SPECS["hair_depth"]
    good = spec.sample(2)
    arrays, batch = spec.checked({name: array.astype(np.float64) for name, array in good.items()})
    assert batch == 2
    assert all(array.dtype == np.float32 for array in arrays.values())
    with pytest.raises(ValueError, match="takes"):
        spec.checked({"picture": good["picture"]})
    with pytest.raises(ValueError, match="takes"):
        spec.checked({**good, "extra": good["picture"]})
    with pytest.raises(ValueError, match="picture is"):
        spec.checked({**good, "picture": good["picture"][:, :, ::2]})
    with pytest.raises(ValueError, match="picture is"):
        spec.checked({**good, "picture": good["picture"][0]})
    with pytest.raises(ValueError, match="different batch sizes"):
        spec.checked({**good, "picture": good["picture"][:1]})


def test_a_free_batch_size_fits_anything_and_other_sizes_do_not():
    tensor = TensorSpec("x", (None, 3), "numbers")
    assert tensor.fits(("N", 3))
    assert tensor.fits((-1, 3))
    assert not tensor.fits((1, 4))
    assert not tensor.fits((1, 3, 1))
