import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from training.experiments.head_segmentation import HeadSegmentation
from training.experiments.refine_features import Likeness

SIDE = 64


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("segmentation") / "checkpoint.pt"
    weights = HeadSegmentation().build("light").state_dict()
    torch.save({"variant": "light", "step": 0, "seconds": 0.0, "network": weights}, path)
    return path


@pytest.fixture(params=["pyramid", "encoder"])
def likeness(request):
    if request.param == "pyramid":
        return Likeness()
    return Likeness(request.getfixturevalue("checkpoint"))


def pictures():
    torch.manual_seed(1)
    truth = torch.rand(2, 3, SIDE, SIDE)
    return truth, torch.ones(2, 1, SIDE, SIDE)


def test_a_picture_is_like_itself_and_unlike_a_blurred_one(likeness):
    truth, everywhere = pictures()
    blurred = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    assert float(likeness(truth, truth, everywhere)) == pytest.approx(0, abs=1e-5)
    slight = float(likeness(truth.lerp(blurred, 0.3), truth, everywhere))
    assert 0.003 < slight < float(likeness(blurred, truth, everywhere))


def test_detail_a_pixel_off_is_more_alike_than_none():
    truth, everywhere = pictures()
    likeness = Likeness()
    moved = truth.roll(1, dims=-1)
    flat = torch.nn.functional.avg_pool2d(truth, 9, 1, 4)
    assert float(likeness(moved, truth, everywhere)) < 0.8 * float(
        likeness(flat, truth, everywhere)
    )


def test_noise_is_less_like_the_truth_than_blur_is():
    truth, everywhere = pictures()
    smooth = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    likeness = Likeness()
    assert float(likeness(truth, smooth, everywhere)) > 1.2 * float(
        likeness(smooth, truth, everywhere)
    )


def test_what_has_no_weight_does_not_count():
    truth, weight = pictures()
    weight[..., SIDE // 2 :] = 0
    other = truth.clone()
    other[..., SIDE // 2 + 16 :] = 0.5  # farther than the pyramid's bands reach
    assert float(Likeness()(other, truth, weight)) == pytest.approx(0, abs=1e-4)


def test_the_encoder_learns_nothing_and_passes_gradients_on(checkpoint):
    likeness = Likeness(checkpoint).train()
    truth, weight = pictures()
    before = {name: value.clone() for name, value in likeness.state_dict().items()}
    made = (truth * 0.8).requires_grad_()
    likeness(made, truth, weight).backward()
    assert float(made.grad.abs().mean()) > 0
    assert not any(parameter.requires_grad for parameter in likeness.parameters())
    for name, value in likeness.state_dict().items():
        assert torch.equal(value, before[name]), name
