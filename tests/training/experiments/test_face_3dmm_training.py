import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

import torch

from engines.spec import SPECS
from stream.face_3dmm import SIZE
from tests.training.learn.toy_faces import toy_faces
from training.experiments import face_3dmm
from training.experiments.face_3dmm import IDENTITY_VARIABLE, OUTPUTS, Face3dmm, FaceNet
from training.learn.face_identity import Features
from training.learn.face_views import view
from training.learn.loop import collated
from training.nets.unet import operations


@pytest.fixture(scope="module")
def data():
    return toy_faces(people=2)


class Knowing(torch.nn.Module):
    """Answers with what it was told, whatever it sees."""

    def __init__(self, answers):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.answers = answers

    def forward(self, picture):
        return tuple(self.answers[name] + 0 * self.nothing for name in OUTPUTS)


def batch_of(data, count=2, seed=0):
    experiment, rng = Face3dmm(), np.random.default_rng(seed)
    return collated([experiment.example(data, i, rng) for i in range(count)])


def truth_of(batch):
    """The coefficients in the order in which the network sees the pictures."""
    names = [name for name in OUTPUTS if name != "light"]
    answers = {name: batch[name].flatten(0, 1).clone() for name in names}
    light = torch.zeros(len(answers["identity"]), 3, 9)
    light[:, :, 0] = 2.0
    return answers | {"light": light.flatten(1)}


def test_outputs_are_what_the_spec_says():
    assert {t.name: t.shape[1] for t in SPECS["face_3dmm"].outputs} == OUTPUTS
    assert list(OUTPUTS) == [t.name for t in SPECS["face_3dmm"].outputs]


@pytest.mark.parametrize("variant", Face3dmm.variants)
def test_every_variant_answers_in_the_ranges_of_the_spec(variant):
    network = FaceNet(variant).eval()
    with torch.no_grad():
        found = dict(zip(OUTPUTS, network(torch.rand(2, 3, SIZE, SIZE)), strict=True))
    for name, size in OUTPUTS.items():
        assert found[name].shape == (2, size)
    assert found["expression"].min() >= 0 and found["expression"].max() < 0.3
    first, second = found["rotation"].view(2, 2, 3).unbind(1)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(second.norm(dim=1), torch.ones(2), atol=1e-4, rtol=0)
    assert (first * second).sum(1).abs().max() < 1e-4


def test_the_light_network_keeps_its_budget():
    network = FaceNet("light")
    assert operations(network, torch.zeros(1, 3, SIZE, SIZE)) <= 0.3e9
    assert sum(p.numel() for p in network.parameters()) * 4 < 8e6


def test_the_truth_costs_less_than_any_change_of_it(data):
    experiment, batch = Face3dmm(), batch_of(data)
    answers = truth_of(batch)
    best = experiment.loss(Knowing(answers), batch)
    best = {name: float(value.detach()) for name, value in best.items()}
    exact = ("identity", "expression", "units", "texture", "rotation", "place", "neutral", "shape")
    assert all(best[name] < 5e-3 for name in exact), best
    assert best["landmark"] < 0.1  # mirrored points are the nearest ones
    concerns = {
        "identity": ("identity", "neutral", "shape", "landmark"),
        "expression": ("expression", "units", "shape", "landmark"),
        "rotation": ("rotation", "landmark"),
        "place": ("place", "landmark"),
        "texture": ("texture",),
    }
    for name, terms in concerns.items():
        off = answers | {name: answers[name] + 0.2 * torch.randn_like(answers[name])}
        worse = experiment.loss(Knowing(off), batch)
        for term in terms:
            assert worse[term] > best[term] + 1e-3, (name, term)


def test_two_views_that_disagree_about_who_it_is_pay(data):
    experiment, batch = Face3dmm(), batch_of(data)
    answers = truth_of(batch)
    answers["identity"] = torch.zeros_like(answers["identity"])
    agreed = experiment.loss(Knowing(answers), batch)
    assert agreed["pair"].item() == 0
    answers["identity"][::2] = 1.0
    assert experiment.loss(Knowing(answers), batch)["pair"].item() > 0


def test_a_better_light_explains_the_picture_better(data):
    experiment, batch = Face3dmm(), batch_of(data)
    answers = truth_of(batch)
    dark = answers | {"light": 0.1 * answers["light"]}
    losses = [experiment.loss(Knowing(one), batch) for one in (answers, dark)]
    assert losses[0]["photo"] < losses[1]["photo"]
    assert losses[0]["light"] < losses[1]["light"]


def test_the_perceptual_term_needs_an_identity_network(data, monkeypatch, tmp_path):
    batch = batch_of(data)
    monkeypatch.delenv(IDENTITY_VARIABLE, raising=False)
    assert "perceptual" not in Face3dmm().loss(Knowing(truth_of(batch)), batch)
    path = tmp_path / "identity.pt"
    torch.save(Features().state_dict(), path)
    monkeypatch.setenv(IDENTITY_VARIABLE, str(path))
    terms = Face3dmm().loss(Knowing(truth_of(batch)), batch)
    assert 0 < terms["perceptual"].item() < 2 * face_3dmm._RATES["perceptual"]


def test_it_learns(data):
    """A few steps on the same faces lower the loss a good deal."""
    torch.manual_seed(0)
    experiment, batch = Face3dmm(), batch_of(data, count=4)
    network = experiment.build("light")
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    totals = []
    for _ in range(12):
        total = torch.stack(list(experiment.loss(network, batch).values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert min(totals[-3:]) < 0.75 * totals[0]


def test_errors_vanish_for_a_network_that_knows_and_are_in_mm(data):
    experiment = Face3dmm()
    views = [view(data, index, None) for index in range(data.count)]
    names = [name for name in OUTPUTS if name != "light"]
    answers = {n: torch.from_numpy(np.stack([one[n] for one in views])) for n in names}
    answers["light"] = torch.zeros(data.count, 27)
    known = experiment.evaluate(Knowing(answers), data, data.count)
    assert known["mm_neutral"] < 0.05 and known["nme"] < 0.2 and known["degrees"] < 0.1
    assert known["size"] < 0.1 and known["expression"] < 1e-3 and known["albedo"] < 1e-3
    nobody = answers | {"identity": torch.zeros_like(answers["identity"])}
    mean = experiment.evaluate(Knowing(nobody), data, data.count)
    assert mean["mm_neutral"] == pytest.approx(mean["mm_neutral_mean_face"]) and (
        0.5 < mean["mm_neutral"] < 12
    )
    assert mean["nme"] > 5 * known["nme"]


def test_the_sheet_is_a_picture(data, tmp_path):
    import cv2

    torch.manual_seed(0)
    network = Face3dmm().build("light").eval()
    Face3dmm().sheet(network, data, tmp_path / "sheet.png")
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture.shape == (4 * SIZE, 14 * SIZE, 3) and picture.std() > 10
