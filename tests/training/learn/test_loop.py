import csv
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from torch import nn

from stream.errors import UserError
from training.learn.experiment import Config
from training.learn.loop import average_checkpoints, collated, load, train
from training.learn.prepared import PreparedSet


class Brightness:
    """A toy experiment: tell how bright a picture is."""

    name = "brightness"
    variants = ("small", "large")
    inputs = ("picture",)
    outputs = ("level",)

    def build(self, variant):
        width = 4 if variant == "small" else 8
        return nn.Sequential(
            nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1)
        )

    def example(self, data, index, rng):
        pixels = data["pixels"][index]
        return {"picture": pixels, "level": np.float32(pixels.mean() / 255)}

    def loss(self, network, batch):
        return {"square": (network(batch["picture"])[:, 0] - batch["level"]).square().mean()}

    def evaluate(self, network, data, count):
        batch = collated([self.example(data, i, None) for i in range(min(count, data.count))])
        with torch.no_grad():
            return {"error": float(self.loss(network, batch)["square"])}

    def sheet(self, network, data, path):
        path.write_bytes(b"sheet")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    level = rng.integers(20, 230, (40, 1, 1, 1))
    pixels = (level + rng.integers(-15, 15, (40, 8, 8, 3))).astype(np.uint8)
    data = PreparedSet(40, 8, {"seed": 0}, {"pixels": pixels})
    monkeypatch.setattr("training.learn.loop.open_set", lambda folder: data)
    return Config(data=tmp_path, validation=tmp_path, out=tmp_path / "run", steps=120, batch=8,
                  every=40, rate=3e-2, warmup=5, average=0.9, threads=1)  # fmt: skip


def test_training_lowers_the_loss_and_keeps_log_sheet_and_checkpoint(toy):
    path = train(Brightness(), toy)
    rows = list(csv.DictReader((toy.out / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [40, 80, 120]
    assert float(rows[-1]["error"]) < 0.2 * float(rows[0]["square"]) + 1e-3
    assert (toy.out / "sheet.jpg").read_bytes() == b"sheet"
    network, facts = load(Brightness(), path)
    assert facts["step"] == 120 and facts["variant"] == "small" and not network.training


def test_a_run_goes_on_where_it_ended(toy):
    train(Brightness(), replace(toy, steps=40))
    train(Brightness(), replace(toy, steps=80, resume=True))
    rows = list(csv.DictReader((toy.out / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [40, 80]


def test_a_run_can_begin_with_other_weights(toy):
    first = train(Brightness(), toy)
    before = torch.load(first, weights_only=True)["network"]
    second = train(
        Brightness(), replace(toy, out=toy.out.parent / "second", start=first, steps=1, rate=0.0)
    )
    after = torch.load(second, weights_only=True)["network"]
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-5, rtol=1e-4)


def test_the_variant_asked_for_is_built(toy):
    path = train(Brightness(), replace(toy, variant="large", steps=2, every=2))
    network, facts = load(Brightness(), path)
    assert facts["variant"] == "large" and network[0].out_channels == 8


def test_pictures_become_channels_first_and_0_to_1():
    picture = np.zeros((6, 4, 3), np.uint8)
    picture[..., 1] = 255
    batch = collated([{"picture": picture, "level": np.float32(2)}] * 3)
    assert batch["picture"].shape == (3, 3, 6, 4)
    assert batch["picture"][:, 1].min() == 1 and batch["picture"][:, 0].max() == 0
    assert batch["level"].tolist() == [2, 2, 2]


def test_the_mean_of_checkpoints_is_a_network_again(tmp_path):
    torch.manual_seed(1)
    paths = []
    for number in range(3):
        path = tmp_path / f"{number}.pt"
        network = Brightness().build("small").state_dict()
        torch.save({"network": network, "variant": "small", "step": number, "seconds": 1.0}, path)
        paths.append(path)
    average_checkpoints(paths, tmp_path / "mean.pt")
    network, facts = load(Brightness(), tmp_path / "mean.pt")
    biases = [torch.load(path, weights_only=True)["network"]["3.bias"] for path in paths]
    assert facts["step"] == 2
    torch.testing.assert_close(network.state_dict()["3.bias"], torch.stack(biases).mean(0))


def test_checkpoints_of_different_networks_have_no_mean(tmp_path):
    for variant in ("small", "large"):
        network = Brightness().build(variant).state_dict()
        facts = {"variant": variant, "step": 1, "seconds": 1.0}
        torch.save({"network": network} | facts, tmp_path / f"{variant}.pt")
    with pytest.raises(UserError, match="differ"):
        average_checkpoints([tmp_path / "small.pt", tmp_path / "large.pt"], tmp_path / "mean.pt")
