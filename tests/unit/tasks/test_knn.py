"""Weighted k-NN against a plain loop."""

import json
import math

import pytest
import torch
from torch.nn import functional as F

from caebench.datasets.synthetic.world import render
from caebench.models.vit import Encoder
from caebench.specs.evaluations.knn import knn
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.job import make_job
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import Site
from caebench.specs.variants import VARIANTS
from caebench.stages import run_stage
from caebench.tasks.knn import classify, extract, predict
from caebench.tasks.probes import Frozen, freeze
from caebench.training.distributed import join_group
from caebench.training.run import Run

CLASSES = 4
RELATIVES = ("imagenet_v2", "imagenet_real", "imagenet_1pct", "imagenet_10pct")


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    bank = F.normalize(torch.randn(60, 6, generator=generator), dim=-1)
    queries = F.normalize(torch.randn(25, 6, generator=generator), dim=-1)
    return queries, bank, torch.randint(0, CLASSES, (60,), generator=generator)


def brute_force(queries, bank, labels, k, temperature):
    predicted = []
    for query in queries.double().tolist():
        similarities = [sum(a * b for a, b in zip(query, row, strict=True)) for row in bank.double().tolist()]
        nearest = sorted(range(len(bank)), key=lambda i: -similarities[i])[:k]
        votes = [0.0] * CLASSES
        for i in nearest:
            votes[labels[i]] += math.exp(similarities[i] / temperature)
        predicted.append(votes.index(max(votes)))
    return predicted


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_it_votes_as_a_plain_loop_does(data, temperature):
    config = knn().replace(k=(1, 3, 10, 60), temperature=temperature)
    found = classify(*data, config, CLASSES)
    assert found.keys() == {1, 3, 10, 60}
    for k, predicted in found.items():
        assert predicted.tolist() == brute_force(*data, k, temperature)


def test_a_k_beyond_the_bank_takes_all_of_it(data):
    found = classify(*data, knn().replace(k=(60, 1000)), CLASSES)
    assert found[1000].tolist() == found[60].tolist()


# ---- features, and the data sets that have ImageNet's classes -------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    encoder = Encoder(VARIANTS["nano_s"], 24).eval()
    encoder.norm.weight.data.uniform_(0.5, 2.0)
    return encoder


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("part", ["cls", "mean", "last4"])
def test_a_feature_is_what_it_is_called(encoder, part, norm):
    images = torch.randn(5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        blocks = [encoder.norm(tokens) if norm else tokens for tokens in encoder.run(images)]
    wanted = {
        "cls": blocks[-1][:, 0],
        "mean": blocks[-1][:, 1:].mean(1),
        "last4": torch.stack([tokens[:, 0] for tokens in blocks[-4:]], dim=1).flatten(1),
    }
    frozen = Frozen(encoder, part, chunk=2, norm=norm)
    found = frozen(images)
    assert found.shape == (5, frozen.dim)
    torch.testing.assert_close(found, wanted[part])


@pytest.fixture(scope="module")
def rendered(tiny, tmp_path_factory):
    """ImageNet and its relatives, each as a finished job, and a random encoder."""
    root, names = tmp_path_factory.mktemp("jobs"), ("imagenet1k", *RELATIVES)
    for name in (*names, "encoder"):
        (root / name).mkdir()
        (root / name / "result.json").write_text("{}")
    for name in names:
        render(tiny.world.amounts([name]), root / name / "world")
    alone = Run(root / "encoder", {}, Site(device="cpu"), join_group("cpu"))
    run_stage(RandomEncoder(kind="random_encoder", variant="nano_s", image_size=24), alone)
    return root


def neighbours(tiny, root, name):
    """A k-NN job on a rendered data set, and its run."""
    config = tiny.apply(knn()).replace(k=(1,), image_size=24, precision="fp32")
    config = config.replace(data=config.data.replace(name=name))
    reads = {known.name: root / known.name for known in config.data.dataset.reads}
    run = Run(root, {"encoder": root / "encoder", "data": root / name, **reads}, Site(device="cpu"), join_group("cpu"))
    return config, run


def told(tiny, root, name):
    """Each validation image's path and class, as told by its nearest neighbour in the data set's training images."""
    config, run = neighbours(tiny, root, name)
    frozen = freeze(run, 24, "cls")
    bank, val = (extract(config, run, frozen, run.open_split(config.data, split)) for split in ("train", "val"))
    return dict(zip((path for path, _ in val.split.entries), predict(config, val, bank)[1].tolist(), strict=True))


def test_the_data_set_says_what_the_bank_is_and_what_is_classified(tiny, rendered):
    """Compared with ImageNet's: V2 has other images, ReaL other labels, the lists fewer neighbours."""
    sizes = {}
    for name in ("imagenet1k", *RELATIVES):
        config, run = neighbours(tiny, rendered, name)
        found = run_stage(config, run)
        sizes[name] = found["num_images"]
        assert set(found) == {"top1", "top1_k1", "k", "num_images"} and 0.0 <= found["top1"] <= 100.0
        assert set(run.intervals) == {"top1", "top1_k1"}
        owners = {config.data.dataset.owner(split).name for split in ("train", "val")}
        assert {mark.partition("/")[0] for mark in run.fingerprints} == owners
    assert sizes == {**dict.fromkeys(sizes, 20), "imagenet_real": 18}


def test_any_label_of_reals_is_right(tiny, rendered):
    config, run = neighbours(tiny, rendered, "imagenet_real")
    labels = json.loads((rendered / "imagenet_real" / "world" / "real.json").read_text())
    counted = [(one, labels[int(path[-13:-5]) - 1]) for path, one in told(tiny, rendered, "imagenet1k").items()]
    right = [one in known for one, known in counted if known]
    assert run_stage(config, run)["top1"] == pytest.approx(100 * sum(right) / len(right), abs=1e-6)


def test_neighbours_come_from_the_list_alone(tiny, rendered, tmp_path):
    """Of one class: every image gets it."""
    for name in ("imagenet1k", "imagenet_1pct", "encoder"):
        (tmp_path / name).symlink_to(rendered / name)
    folder = tmp_path / "imagenet_10pct" / "world" / "imagenet_subsets"
    folder.mkdir(parents=True)
    (tmp_path / "imagenet_10pct" / "result.json").write_text("{}")
    (folder / "10percent.txt").write_text("n00000004_4.JPEG\nn00000004_14.JPEG\n")
    assert set(told(tiny, tmp_path, "imagenet_10pct").values()) == {4}


@pytest.mark.parametrize("evaluation", ["linear_probe", "finetune", "ade20k", "coco"])
def test_an_evaluation_that_takes_one_label_an_image_refuses_several(tiny, evaluation):
    config = EVALUATIONS[evaluation]()
    encoder = make_job(RandomEncoder(kind="random_encoder", variant="vit_b", image_size=224))
    with pytest.raises(ValueError, match=r"'imagenet_real'.*another kind \(classes\).*Choose one of"):
        make_job(config.replace(data=config.data.replace(name="imagenet_real")), encoder=encoder)
