"""Training lowers the error, with and without a judge; tables, figures and files come out."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from toy_people import toy_people

from stream.errors import UserError
from stream.keypoint_mesh import mirror_order
from training.depthnets import program, tables
from training.depthnets.export import LiveDepth, export
from training.depthnets.models import MODELS, answers, load_depthnet
from training.depthnets.pictures import aligned, figure_2, figure_3, fitted
from training.depthnets.tables import (
    Bench,
    all_pairs_of_one_person,
    bounds,
    cross_pairs,
    table_1,
    table_2,
    table_3,
    thirds,
)
from training.depthnets.train import (
    TrainConfig,
    _drawn,
    _turned_pictures,
    train_depthnet,
)

SMALL = TrainConfig(steps=120, batch=64, width=64, rate=3e-3, every=120)


@pytest.fixture(scope="module")
def people():
    return toy_people(count=40), toy_people(count=20, seed=1)


def errors_of(log):
    return float(log[-1].split("MSE ")[1].split(",")[0])


@pytest.mark.parametrize("number", [3, 7])
def test_training_lowers_the_error(people, tmp_path, number):
    few, many = [], []
    train_depthnet(number, *people, TrainConfig(steps=2, width=64), tmp_path, few.append)
    path = train_depthnet(number, *people, SMALL, tmp_path, many.append)
    assert errors_of(many) < 0.5 * errors_of(few)
    network, facts = load_depthnet(path)
    assert network.affine == (number == 3)
    assert facts["faces"] == "40 toy people"
    assert facts["steps"] == 120


def test_it_comes_out_the_same_for_the_same_seed(people, tmp_path):
    config = TrainConfig(steps=5, batch=32, width=32)
    first, second = (
        load_depthnet(train_depthnet(7, *people, config, tmp_path / name, lambda _: None))[0]
        for name in "ab"
    )
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_siamese_model_learns_from_pictures(tmp_path):
    faces = toy_people(count=6, pictures=40)
    config = TrainConfig(steps=2, batch=8, width=32)
    network, _ = load_depthnet(train_depthnet(8, faces, faces, config, tmp_path, lambda _: None))
    assert network.pictures == 40
    assert sum(parameter.numel() for parameter in network.eyes.parameters()) > 1000


def test_labels_teach_depth_from_the_source_alone(people, tmp_path):
    config = TrainConfig(
        steps=250, batch=64, width=128, rate=3e-3, labels=100.0, single=True, pairs="different"
    )
    log = []
    path = train_depthnet(7, *people, config, tmp_path, log.append)
    network, _ = load_depthnet(path)
    assert not network.paired
    held_out = people[1]
    faces = np.arange(len(held_out))
    depth = answers(MODELS[7], network, held_out, faces, faces[::-1]).depth
    agree = [np.corrcoef(a, b)[0, 1] for a, b in zip(depth, held_out.depth, strict=True)]
    assert np.mean(agree) > 0.8


def test_what_cannot_be_trained_is_refused(people, tmp_path):
    with pytest.raises(UserError, match="model 2"):
        train_depthnet(2, *people, SMALL, tmp_path)
    with pytest.raises(UserError, match="needs pictures"):
        train_depthnet(8, *people, SMALL, tmp_path)
    from dataclasses import replace

    blind = replace(people[0], depth=None)
    with pytest.raises(UserError, match="true depths"):
        train_depthnet(7, blind, None, TrainConfig(judge=1.0), tmp_path)


def test_pairs_are_mirrored_together_and_turned_alone(people):
    network = load_none()
    config = TrainConfig(batch=200, turn_deg=0)
    rng = np.random.default_rng(0)
    batch = _drawn(network, people[0], config, rng)
    order = mirror_order(68)
    known = torch.from_numpy(people[0].points)
    flipped = torch.from_numpy(people[0].points[:, order] * np.float32([-1, 1]))

    def is_in(points, among):
        return (points[:, None] - among[None]).abs().amax((2, 3)).amin(1) < 1e-6

    straight = is_in(batch.source, known)
    assert 60 < int(straight.sum()) < 140
    assert torch.equal(straight, is_in(batch.target, known))
    assert torch.equal(~straight, is_in(batch.target, flipped))
    turned = _drawn(network, people[0], TrainConfig(batch=50, turn_deg=20), rng)
    length = turned.source.norm(dim=2).mean()
    assert float(length) == pytest.approx(float(known.norm(dim=2).mean()), rel=0.05)


def load_none():
    from training.depthnets.nets import DepthNet

    return DepthNet(68, affine=False, width=32)


def test_pictures_turn_as_keypoints_do():
    picture = torch.zeros(1, 3, 40, 40)
    picture[:, :, 20, 34] = 1  # right of the middle
    angle = np.radians(90)
    turn = torch.tensor(
        [[[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]], dtype=torch.float32
    )
    place = torch.tensor([[[14.5, 0.5]]]) @ turn.transpose(1, 2)
    turned = _turned_pictures(picture, turn)[0, 0]
    row, column = divmod(int(turned.argmax()), 40)
    assert (column + 0.5 - 20, row + 0.5 - 20) == pytest.approx(
        tuple(place[0, 0].tolist()), abs=0.6
    )


# --- tables -------------------------------------------------------------------------------------


@pytest.fixture
def bench(people, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PER_POSE", 6)
    monkeypatch.setattr(tables.thirds, "__defaults__", (6, 0))
    config = TrainConfig(steps=20, batch=32, width=32)
    return Bench(*people, tmp_path, config, lambda _: None)


def test_every_pair_of_one_person_is_measured(people):
    first, second = all_pairs_of_one_person(people[1])
    assert len(first) == 20 * 4 * 3
    assert len(set(zip(first, second, strict=True))) == len(first)
    assert (people[1].person[first] == people[1].person[second]).all()


def test_no_depth_beats_the_bound(people):
    test = people[1]
    first, second = all_pairs_of_one_person(test)
    found = bounds(test, first, second)
    assert found["best possible depth, eq. 3"] < found["true depth, eq. 3"]
    # A depth that reaches it: the right singular vector of what a plane affine leaves.
    from training.depthnets.measure import mse
    from training.depthnets.models import registered_plane

    source, target = test.points[first], test.points[second]
    rest = target - registered_plane(source, target).placed
    depth = np.linalg.svd(rest.swapaxes(1, 2).astype(float), full_matrices=False)[2][:, 0]
    from stream.affine import apply_affine, lift, solve_affine

    lifted = lift(source.astype(float), depth)
    placed = apply_affine(solve_affine(lifted, target), lifted)
    assert mse(placed, target) == pytest.approx(found["best possible depth, eq. 3"], rel=1e-3)


def test_table_1_trains_what_is_missing_and_names_the_data(bench):
    made = table_1(bench, (1, 2, 3, 5, 7))
    assert "20 toy people" in made.text
    assert "| 7 |" in made.text
    assert "0.357" in made.text, "the paper's figure stands beside ours"
    found = {number: row["mse"] for number, row in made.figures["models"].items()}
    assert found["1"] > found["2"]
    assert found["3"] > found["5"]
    assert sorted(path.name for path in bench.folder.glob("*.pt")) == ["model3.pt", "model7.pt"]
    assert table_1(bench, (1, 2, 3, 5, 7)) == made, "what is there is not trained again"


def test_the_networks_of_table_1_begin_alike_and_train_equally_long(tmp_path):
    faces = toy_people(count=8, pictures=40)
    config = TrainConfig(steps=40, batch=16, width=32)
    table_1(Bench(faces, faces, tmp_path, config, lambda _: None), (3, 4, 7, 8))
    facts = {n: load_depthnet(tmp_path / f"model{n}.pt")[1] for n in (3, 4, 7, 8)}
    assert {told["steps"] for told in facts.values()} == {2}
    assert {told["start"] for told in facts.values()} == {str(tmp_path / "base" / "model3.pt")}
    assert [told["pictures"] for told in facts.values()] == [0, 40, 0, 40]
    assert [told["affine"] for told in facts.values()] == [True, True, False, False]


def test_thirds_are_left_front_and_right_faces_of_different_people(people):
    left, front, right = thirds(people[1], 6)
    yaw = people[1].yaw_deg
    assert yaw[left].max() < yaw[front].min() < yaw[front].max() < yaw[right].min()
    for pose in (left, front, right):
        assert len(np.unique(people[1].person[pose])) == 6
    with pytest.raises(UserError, match="too few faces"):
        thirds(people[1], 60)


def test_faces_are_not_paired_with_themselves():
    first, second = cross_pairs(np.arange(5), np.arange(5))
    assert len(first) == 20
    assert (first != second).all()
    assert len(cross_pairs(np.arange(75), np.arange(75, 150))[0]) == 5625


def test_tables_2_and_3_and_the_figures_come_out(bench, people, tmp_path):
    two, three = table_2(bench), table_3(bench)
    assert two.text.count("\n| DepthNet") == 6
    assert np.array(two.figures["depth_corr"]["DepthNet"]).shape == (3, 3)
    models = three.figures["models"]
    assert set(models) == {"GT depth", "AIGN", "DepthNet", "DepthNet + GAN"}
    assert models["GT depth"]["depth_corr"] == pytest.approx([68] * 3)
    assert "not run" in three.text, "MOFA"
    average = np.mean(two.figures["depth_corr"]["DepthNet"], axis=1)
    assert models["DepthNet"]["depth_corr"] == pytest.approx(average.tolist())
    figure_2(bench, tmp_path / "f" / "two.png")
    with_pictures = toy_people(count=20, seed=1, pictures=24)
    figure_3(bench, with_pictures, tmp_path / "f" / "three.png", rows=3)
    import cv2

    assert cv2.imread(str(tmp_path / "f" / "two.png")).std() > 5
    assert cv2.imread(str(tmp_path / "f" / "three.png")).shape[1] == 6 * 260


def test_estimates_get_the_sign_and_scale_of_the_truth():
    true = np.random.default_rng(0).normal(size=(9, 5))
    assert np.allclose(aligned(-4 * true, true), true)


def test_a_fit_takes_away_what_the_loss_leaves_open():
    rng = np.random.default_rng(0)
    points, true = rng.normal(size=(7, 30, 2)), rng.normal(size=(7, 30))
    plane = 2 * points[..., 0] - points[..., 1] + 3
    assert np.allclose(fitted(points, -0.2 * true + plane, true), true)
    other = fitted(points, rng.normal(size=(7, 30)), true)
    assert ((other - true) ** 2).mean() > 0.5


# --- the command line and the file that ships ---------------------------------------------------


def test_the_network_that_ships_is_written_as_the_spec_says(tmp_path):
    faces = toy_people(count=8, points=478)
    config = TrainConfig(steps=3, batch=16, width=32, labels=1.0, single=True)
    path = train_depthnet(7, faces, None, config, tmp_path, lambda _: None)
    told = export(path, tmp_path / "keypoint_depth.onnx")
    assert told["difference"] < 2e-3

    from engines.onnxruntime_backend import OnnxRuntimeBackend
    from engines.spec import SPECS

    data = (tmp_path / "keypoint_depth.onnx").read_bytes()
    spec = SPECS["keypoint_depth"]
    unit = faces.points[:3].swapaxes(1, 2)[..., None]
    with OnnxRuntimeBackend().open_on("CPUExecutionProvider", spec, data, "fp32") as engine:
        found = engine(points=unit)["depth"]
    wanted = LiveDepth(load_depthnet(path)[0])(torch.from_numpy(unit)).detach().numpy()
    assert np.abs(found - wanted).max() < 2e-3


def test_networks_of_another_kind_do_not_ship(people, tmp_path):
    path = train_depthnet(7, *people, TrainConfig(steps=1, width=32), tmp_path, lambda _: None)
    with pytest.raises(UserError, match="single"):
        export(path, tmp_path / "x.onnx")


def keypoint_folder(folder):
    from training.depthnets.text import write_rows

    faces = toy_people(count=6)
    for number, points in enumerate(faces.points):
        place = folder / str(faces.person[number]) / f"{number}.txt"
        write_rows(place, np.c_[80 * (points + 0.5), 80 * faces.depth[number]])
    return folder


def test_a_model_is_trained_from_the_command_line(tmp_path, capsys):
    data = str(keypoint_folder(tmp_path / "faces"))
    common = ["--data", data, "--validation", data, "--layout", "text", "--out", str(tmp_path)]
    short = ["--steps", "3", "--width", "32", "--batch", "16"]
    program.run(["--model", "7", *common, *short])
    assert (tmp_path / "model7.pt").is_file()
    program.run(["table", "1", "--models", "1", "3", *common, *short])
    assert json.loads((tmp_path / "table1.json").read_text())["pairs"] == 6 * 4 * 3
    assert "Table 1" in (tmp_path / "table1.md").read_text()
    assert "Table 1" in capsys.readouterr().out
    program.run(["--model", "2", *common])
    assert "average 3D face" in capsys.readouterr().out, "a closed form is measured"
    with pytest.raises(UserError, match="no such folder"):
        program.run(["--model", "7", "--data", str(tmp_path / "gone")])
    with pytest.raises(UserError, match="--validation"):
        program.run(["table", "2", "--data", data, "--layout", "text"])
