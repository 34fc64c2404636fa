import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from training.experiments.head_segmentation import CLASSES, HeadSegmentation, coverage
from training.learn.loop import collated
from training.learn.prepared import PreparedSet
from training.nets.unet import operations
from training.synthetic.scene import Label


def toy_set(count=4, side=64):
    """Left half background, then face, hair above."""
    labels = np.zeros((count, side, side), np.uint8)
    labels[:, :, side // 2 :] = Label.FACE
    labels[:, : side // 4, side // 2 :] = Label.HAIR
    colours = np.array([(20, 20, 120), (220, 180, 150), (60, 30, 10)], np.uint8)
    alpha = np.where(labels > 0, 255, 0).astype(np.uint8)
    hair = np.where(labels == Label.HAIR, 255, 0).astype(np.uint8)
    fields = {"pixels": colours[labels], "labels": labels, "alpha": alpha, "hair_alpha": hair}
    return PreparedSet(count, side, {"seed": 0}, fields)


class Perfect(torch.nn.Module):
    """Knows the colours of the toy set."""

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, picture):
        answer = torch.zeros(len(picture), CLASSES, *picture.shape[2:])
        red = picture[:, 0]
        answer[:, Label.FACE] = (red > 0.5).float()
        answer[:, Label.HAIR] = ((red < 0.5) & (red > 0.15)).float()
        answer[:, Label.BACKGROUND] = (red <= 0.15).float()
        return answer


def test_coverage_sums_to_one_and_splits_the_edge_of_hair():
    labels = torch.tensor([[[0, 2, 2, 1, 0]]], dtype=torch.uint8)
    alpha = torch.tensor([[[102, 255, 255, 255, 90]]], dtype=torch.uint8)
    hair = torch.tensor([[[102, 255, 128, 0, 0]]], dtype=torch.uint8)
    target = torch.zeros(1, CLASSES, 1, 5)
    for label, share in coverage(labels, hair, alpha):
        target.scatter_add_(1, label.unsqueeze(1), share.unsqueeze(1))
    torch.testing.assert_close(target.sum(1), torch.ones(1, 1, 5))
    torch.testing.assert_close(target[0, Label.HAIR, 0, 0], torch.tensor(0.4))
    torch.testing.assert_close(target[0, Label.BACKGROUND, 0, 0], torch.tensor(0.6))
    assert target[0, Label.HAIR, 0, 2] == 1  # hair over hair
    assert target[0, Label.FACE, 0, 3] == 1
    assert target[0, Label.BACKGROUND, 0, 4] == 1  # half a pixel of cloth, of which none knows


def test_a_network_that_knows_scores_one_and_one_that_does_not_scores_less():
    experiment, data = HeadSegmentation(), toy_set()
    known = experiment.evaluate(Perfect(), data, 4)
    assert known["iou_head"] == known["iou_face"] == known["iou_hair"] == 1
    untrained = experiment.evaluate(experiment.build("light").eval(), data, 4)
    assert untrained["iou_head"] < 0.9


def test_the_loss_falls_when_the_network_learns():
    torch.manual_seed(0)
    experiment, data = HeadSegmentation(), toy_set()
    network = experiment.build("light").train()
    batch = collated([experiment.example(data, i, None) for i in range(4)])
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(45):
        total = sum(experiment.loss(network, batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_answers_are_probabilities_outside_of_training():
    network = HeadSegmentation().build("light").eval()
    with torch.no_grad():
        answer = network(torch.rand(2, 3, 64, 64))
    assert answer.shape == (2, CLASSES, 64, 64)
    torch.testing.assert_close(answer.sum(1), torch.ones(2, 64, 64))


def test_the_light_network_keeps_its_budget():
    network = HeadSegmentation().build("light")
    assert operations(network, torch.zeros(1, 3, 256, 256)) <= 0.6e9


def test_examples_vary_with_chance_and_repeat_without():
    experiment, data = HeadSegmentation(), toy_set()
    still = [experiment.example(data, 1, None)["picture"] for _ in range(2)]
    np.testing.assert_array_equal(*still)
    drawn = experiment.example(data, 1, np.random.default_rng(0))
    assert (drawn["picture"] != still[0]).any()
    inside = drawn["labels"] == Label.FACE
    assert drawn["picture"][inside].mean() > drawn["picture"][drawn["labels"] == 0].mean()
