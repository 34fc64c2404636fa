from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from engines.spec import SPECS
from stream.repair import SIZE
from training.experiments.repair import Cycle, Repair, repaired, seam
from training.learn.experiment import Adversarial, Config
from training.learn.loop import collated, train
from training.learn.prepared import PreparedSet
from training.learn.repair_pairs import FIELDS, FRONTAL, SELF, SWAPPED
from training.nets.unet import operations

PATCH = np.s_[40:90, 40:90]


def faces(kinds, off=60):
    """Smooth pictures, and the same with a patch that is too bright."""
    rng = np.random.default_rng(0)
    real = np.zeros((len(kinds), SIZE, SIZE, 3), np.uint8)
    real += rng.integers(70, 130, (len(kinds), 1, 1, 3)).astype(np.uint8)
    masks = np.zeros((len(kinds), SIZE, SIZE, 2), np.uint8)
    masks[(slice(None), *PATCH, 0)] = 255
    pasted = real.copy()
    pasted[(slice(None), *PATCH)] += off
    fields = {"pasted": pasted, "masks": masks, "real": real, "kind": np.uint8(kinds)}
    assert set(fields) == set(FIELDS)
    return PreparedSet(len(kinds), SIZE, {"seed": 0}, fields)


def written(data, folder):
    folder.mkdir()
    for name, array in data.fields.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "set.json").write_text(f'{{"count": {data.count}, "size": {SIZE}}}')
    return folder


@pytest.mark.parametrize("variant", Repair.variants)
def test_every_variant_begins_by_changing_nothing(variant):
    network = Repair().build(variant).eval()
    picture, masks = torch.rand(1, 3, 64, 64), torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(picture, masks), picture)
        assert torch.equal(network(picture, masks, True), picture)


def test_the_light_generator_keeps_its_budget():
    spec = SPECS["repair"].inputs
    inputs = [torch.zeros(tensor.sized(1)) for tensor in spec]
    assert operations(Cycle("light").repair, *inputs) < 0.4e9


def test_a_batch_has_a_term_for_cycle_identity_truth_and_both_judges():
    experiment = Repair()
    assert isinstance(experiment, Adversarial)
    network = experiment.build("light")
    judges = experiment.adversary(Config(None), torch.device("cpu"))
    rng, data = np.random.default_rng(0), faces([SWAPPED, SELF, FRONTAL, SELF])
    batch = collated([experiment.example(data, row, rng) for row in range(4)])
    assert batch["picture"].shape == batch["other"].shape
    assert set(experiment.loss(network, batch)) == {"truth"}, "the truth alone begins"
    assert set(experiment.adversary_loss(judges, batch)) == {"judge_real"}
    judges.steps += 10_000
    terms = experiment.loss(network, batch)
    assert set(terms) == {"cycle", "identity", "truth", "adversarial"}
    assert terms["cycle"].item() == terms["identity"].item() == 0, "it changes nothing yet"
    assert terms["truth"].item() > 0
    told = experiment.adversary_loss(judges, batch)
    assert set(told) == {"judge_real", "judge_pasted"}
    sum(told.values()).backward()
    assert all(p.grad is not None for p in judges.parameters())
    assert all(p.requires_grad for p in judges.parameters())


def test_a_sheet_shows_every_kind_below_each_other(tmp_path):
    network = Repair().build("light").eval()
    Repair().sheet(network, faces([SWAPPED, SELF, FRONTAL] * 8), tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (9 * SIZE, 8 * SIZE, 3)


def test_only_faces_on_the_same_person_have_a_truth():
    experiment = Repair()
    network, data = experiment.build("light"), faces([SWAPPED, FRONTAL])
    batch = collated([experiment.example(data, row, None) for row in range(2)])
    assert experiment.loss(network, batch)["truth"].item() == 0


def test_measures_tell_a_repaired_picture_from_a_pasted_one():
    class Mender(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.none = torch.nn.Parameter(torch.zeros(1))

        def forward(self, picture, masks):
            bright = masks[:, :1] * (picture.amax(dim=(2, 3), keepdim=True) - picture < 0.1)
            return picture - bright * 60 / 255

    data = faces([SELF, SELF, SWAPPED, FRONTAL])
    scores = Repair().evaluate(Mender(), data, 4)
    assert scores["l1_pasted"] > 30
    assert scores["l1_repaired"] < 0.3 * scores["l1_pasted"]
    assert scores["seam_swap_repaired"] < 0.5 * scores["seam_swap_pasted"]
    assert {"seam_frontal_pasted", "identity"} <= set(scores)


def test_the_seam_is_1_where_nothing_was_pasted():
    data = faces([SELF], off=0)
    picture = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    assert seam(picture, picture, data["masks"][0]) == 1


def test_training_learns_to_take_the_patch_away(tmp_path):
    held = faces([SELF] * 4)
    config = Config(
        written(held, tmp_path / "set"), tmp_path / "set", tmp_path / "out", steps=48,
        batch=3, rate=6e-3, warmup=3, average=0.8, threads=1, every=48,
    )  # fmt: skip
    experiment = Repair()
    train(experiment, config)
    network = experiment.build("light").eval()
    kept = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 48
    assert "rival" in kept
    network.load_state_dict(kept["network"])
    apart = [
        np.abs(one.astype(int) - held["real"][:4])[:, 45:85, 45:85].mean()
        for one in (held["pasted"][:4], repaired(network, held, np.arange(4)))
    ]
    assert apart[1] < 0.8 * apart[0]
    again = replace(config, steps=49, resume=True)
    assert train(Repair(), again).is_file()
