import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

import torch

from stream.refine import COVER, DOUBT, SIZE, UNKNOWN
from training.experiments.refine import Refine, RefineNet, agreement, refined, tolerant
from training.learn.experiment import Config
from training.learn.loop import collated
from training.learn.prepared import PreparedSet
from training.learn.refine_pairs import REAL, SYNTHETIC, TURNED
from training.nets.unet import operations

SIDE = 128
GUESS = np.s_[90:130, 100:150]


def pairs(kinds):
    """Grey truths, and coarse pictures that are wrong where a mask calls them a guess."""
    rng = np.random.default_rng(0)
    truth = rng.integers(80, 120, (len(kinds), SIZE, SIZE, 3), np.uint8)
    masks = np.zeros((len(kinds), SIZE, SIZE, 4), np.uint8)
    masks[:, 40:220, 40:220, COVER] = 255
    masks[(slice(None), *GUESS, DOUBT)] = 255
    coarse = truth.copy()
    coarse[(slice(None), *GUESS)] = 220
    fields = {"coarse": coarse, "masks": masks, "truth": truth, "kind": np.uint8(kinds)}
    fields["guesses"] = np.zeros_like(truth)
    return PreparedSet(len(kinds), SIZE, {"seed": 0}, fields)


def test_what_another_view_disputes_counts_less_than_what_it_shades():
    picture = torch.full((1, 3, 64, 64), 0.5)
    truth = picture.clone()
    truth[..., 32:] *= 0.9  # another light
    truth[..., 40:56, 40:56] = 0.05  # another thing
    counts = agreement(picture, truth)
    assert counts.shape == (1, 1, 64, 64)
    assert counts[..., 20].min() > 0.999
    assert counts[0, 0, 20, 48] > 0.85
    assert counts[0, 0, 48, 48] < 0.3


def batch_of(data, kinds=None):
    rows = range(data.count)
    batch = collated([Refine().example(data, row, None) for row in rows])
    if kinds is not None:
        batch["kind"] = torch.tensor(kinds)
    return batch


class Painter(torch.nn.Module):
    """Stands for a network: paints everything in one grey level."""

    def __init__(self, level):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(level / 255))

    def forward(self, picture, masks):
        return torch.zeros_like(picture) + self.level


class Keeper(Painter):
    """Changes nothing."""

    def __init__(self):
        super().__init__(0)

    def forward(self, picture, masks):
        return picture


def test_only_of_drawn_people_disputed_pixels_count_less():
    data = pairs([SYNTHETIC] * 2)
    data["coarse"][:, 90:110] = data["truth"][:, 90:110]  # half of the guess is right
    batches = [batch_of(data, [kind] * 2) for kind in (SYNTHETIC, REAL)]
    # A real picture that was spoilt is the truth itself, and counts in full.
    drawn, real = (float(Refine().loss(Keeper(), batch)["colour"].detach()) for batch in batches)
    assert 0 < drawn < 0.6 * real


@pytest.mark.parametrize("variant", Refine.variants)
def test_every_variant_begins_by_changing_nothing(variant):
    network = Refine().build(variant).eval()
    picture, masks = torch.rand(1, 3, SIDE, SIDE), torch.rand(1, 4, SIDE, SIDE)
    with torch.no_grad():
        assert torch.equal(network(picture, masks), picture)


@pytest.mark.parametrize(("variant", "bounded"), [("light", False), ("light-merge", True)])
def test_only_the_merging_variant_is_bound_to_the_mask(variant, bounded):
    torch.manual_seed(0)
    network = RefineNet(variant)
    torch.nn.init.normal_(network.body.head[-1].weight, std=0.3)
    picture, masks = torch.rand(1, 3, SIDE, SIDE), torch.zeros(1, 4, SIDE, SIDE)
    masks[..., 30:60, 30:60] = 1
    with torch.no_grad():
        change = (network(picture, masks) - picture).abs()
    assert float(change[..., 30:60, 30:60].mean()) > 0.01
    assert (float(change[..., 70:, 70:].max()) == 0) == bounded


def test_the_light_network_keeps_its_budget():
    shapes = torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1, 4, SIZE, SIZE)
    network = Refine().build("light")
    assert 0.3e9 < operations(network, *shapes) <= 1.5e9
    assert 4 * sum(parameter.numel() for parameter in network.parameters()) < 8e6  # bytes


def test_pictures_in_use_are_clipped_and_in_training_are_not():
    network = RefineNet("light")
    torch.nn.init.constant_(network.body.head[-1].bias, 3.0)
    picture, masks = torch.rand(1, 3, SIDE, SIDE), torch.ones(1, 4, SIDE, SIDE)
    with torch.no_grad():
        assert float(network.train()(picture, masks).max()) > 1
        assert float(network.eval()(picture, masks).max()) == 1


def test_the_truth_costs_nothing_and_the_coarse_picture_its_faults():
    batch = batch_of(pairs([SYNTHETIC] * 2))
    experiment = Refine()
    faulty = experiment.loss(Keeper(), batch)
    assert set(faulty) == {"colour", "kept", "feature"}
    assert float(faulty["kept"]) == 0
    assert float(faulty["colour"]) > 0.3
    better = experiment.loss(Painter(100.0), batch)
    assert better["colour"].item() < 0.25 * faulty["colour"].item()
    assert better["kept"].item() > 0.01  # it paints over what was seen, too


def test_a_turned_real_head_has_no_truth_to_compare_with():
    data = pairs([TURNED] * 2)
    terms = Refine().loss(Keeper(), batch_of(data))
    assert float(terms["colour"]) == float(terms["feature"]) == 0
    both = Refine().loss(Keeper(), batch_of(data, [TURNED, SYNTHETIC]))
    assert float(both["colour"]) > 0.1


def test_tolerance_a_pixel_off_costs_less_than_the_wrong_colour():
    torch.manual_seed(0)
    truth, weight = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    level = float((truth - truth.roll(1, -1)).abs().mean())
    moved = float(tolerant(truth.roll(1, -1), truth, weight))
    toned = float(tolerant(truth + level, truth, weight))
    assert moved < 0.7 * toned
    assert float(tolerant(truth + level, truth, 0 * weight)) == 0


def test_the_discriminator_is_trained_in_turn_and_counts_later(tmp_path):
    experiment = Refine()
    judge = experiment.adversary(Config(tmp_path / "set"), torch.device("cpu"))
    batch = batch_of(pairs([SYNTHETIC, TURNED]))
    with pytest.raises(ValueError, match="after loss"):
        experiment.adversary_loss(judge, batch)
    network = Painter(150.0)
    early = experiment.loss(network, batch)["adversarial"]
    assert early.item() == 0
    terms = experiment.adversary_loss(judge, batch)
    terms["judge"].backward()
    assert network.level.grad is None
    assert all(parameter.grad is not None for parameter in judge.parameters())
    assert int(judge.steps) == 1
    judge.steps += 5000
    late = experiment.loss(network, batch)["adversarial"]
    assert late.item() > 0
    judge.zero_grad(set_to_none=True)
    late.backward()
    assert network.level.grad is not None
    assert all(parameter.grad is None for parameter in judge.parameters())


def test_examples_show_a_guess_and_real_pictures_are_spoilt():
    experiment, data = Refine(), pairs([SYNTHETIC] * 3)
    real = pairs([REAL, TURNED])
    real.fields["coarse"][:] = real.fields["truth"]
    experiment._real = real
    kinds = []
    for seed in range(30):
        example = experiment.example(data, seed % 3, np.random.default_rng(seed))
        kinds.append(int(example["kind"]))
        assert example["picture"].shape == example["truth"].shape == (128, 128, 3)
        assert example["masks"].shape == (128, 128, 4)
        assert example["weight"].shape == (128, 128, 1)
        if kinds[-1] == SYNTHETIC:
            assert example["weight"].max() == 255
            wrong = np.abs(example["picture"].astype(int) - example["truth"]).mean(axis=-1)
            assert wrong[example["masks"][..., DOUBT] == 255].mean() > 30
        if kinds[-1] == REAL:
            assert (example["masks"][..., [DOUBT, UNKNOWN]] > 0).any()
    assert {kinds.count(kind) > 0 for kind in (SYNTHETIC, REAL, TURNED)} == {True}
    assert kinds.count(SYNTHETIC) > 10


def test_without_a_generator_an_example_is_whole_and_always_the_same():
    data = pairs([SYNTHETIC])
    first, second = (Refine().example(data, 0, None) for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_array_equal(first["picture"], data["coarse"][0])


def test_pictures_change_as_the_live_path_lets_them():
    data = pairs([SYNTHETIC] * 2)
    shown, weights = refined(Painter(100.0), data, np.array([0, 1]))
    assert (shown[(slice(None), *GUESS)] == 100).all()
    np.testing.assert_array_equal(shown[weights == 0], data["coarse"][weights == 0])


def test_measures_tell_guesses_from_what_was_seen():
    data = pairs([SYNTHETIC] * 2)
    scores = Refine().evaluate(Painter(100.0), data, 2)
    assert scores["l1_coarse_guess"] > 80
    assert scores["l1_refined_guess"] < 15
    assert scores["l1_coarse_sure"] == 0
    assert scores["l1_refined_sure"] < 0.01
    assert scores["psnr_refined_guess"] > scores["psnr_coarse_guess"] + 10
    assert scores["ssim_coarse_sure"] == pytest.approx(1, abs=0.02)
    assert scores["l1_coarse_guess"] > scores["l1_coarse_whole"] > scores["l1_coarse_sure"]
    kept = Refine().evaluate(Keeper(), data, 2)
    for place in ("guess", "sure", "whole"):
        assert kept[f"psnr_refined_{place}"] == kept[f"psnr_coarse_{place}"]


def test_the_sheet_is_written(tmp_path):
    Refine().sheet(Keeper(), pairs([SYNTHETIC] * 2), tmp_path / "sheet.jpg")
    assert (tmp_path / "sheet.jpg").stat().st_size > 10_000
