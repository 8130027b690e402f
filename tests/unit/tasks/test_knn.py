"""Weighted k-NN against a plain loop."""

import json
import math

import pytest
import torch
from torch.nn import functional as F

from caebench.config.site import Extras, Roots, Site
from caebench.config.stage import EXTRA, EXTRA_METRICS, KNN, RandomEncoder
from caebench.config.variants import VARIANTS
from caebench.data.datasets import open_split
from caebench.data.world import render
from caebench.models.vit import Encoder
from caebench.recipes.probes import knn
from caebench.stages import run_stage
from caebench.tasks.knn import classify, extract, predict
from caebench.tasks.probes import Frozen, freeze
from caebench.training.distributed import join_group
from caebench.training.run import Run

CLASSES = 4


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


# ---- features, and what a site adds to ImageNet ---------------------------------------------------------------------


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


@pytest.fixture
def imagenet(tiny, tmp_path):
    """A small ImageNet, and a job's folder with a random encoder."""
    render(tiny.world, tmp_path / "world", lambda done, total: None, ("imagenet1k",))
    (tmp_path / "encoder").mkdir()
    alone = Run(tmp_path / "encoder", {}, Site(device="cpu"), join_group("cpu"))
    run_stage(RandomEncoder(kind="random_encoder", variant="nano_s", image_size=24), alone)
    (tmp_path / "encoder" / "result.json").write_text("{}")
    return tmp_path


def neighbours(folder, **extras):
    """The result of a k-NN job at a site with these extras."""
    roots = Roots(imagenet1k=folder / "world" / "imagenet")
    site = Site(device="cpu", data=roots, extras=Extras(**extras))
    run = Run(folder, {"encoder": folder / "encoder"}, site, join_group("cpu"))
    config = knn().replace(k=(1,), image_size=24, precision="fp32")
    return run_stage(config, run), run


def test_what_a_site_adds_to_imagenet_stands_beside_the_accuracy(imagenet):
    split = open_split(knn().data, "val", Roots(imagenet1k=imagenet / "world" / "imagenet"), None)
    train = open_split(knn().data, "train", Roots(imagenet1k=imagenet / "world" / "imagenet"), None)
    plain, _ = neighbours(imagenet)
    assert set(plain) == {"top1", "top1_k1", "k", "num_images"}

    labels = [[] for _ in range(50_000)]
    for path, label in split.entries[: len(split.entries) // 2]:
        labels[int(path[-13:-5]) - 1] = [label, (label + 1) % 1000]
    (imagenet / "real.json").write_text(json.dumps(labels))
    of_class_0 = [path.rpartition("/")[2] for path, label in train.entries if label == 0]
    (imagenet / "1percent.txt").write_text("\n".join(of_class_0))
    (imagenet / "10percent.txt").write_text("\n".join(path.rpartition("/")[2] for path, _ in train.entries))
    for number in range(1000):  # a training image finds itself; the others are of no class below 10
        (imagenet / "v2" / str(number)).mkdir(parents=True)
        known = next((path for path, label in train.entries if label == number), train.entries[0][0])
        (imagenet / "v2" / str(number) / "a.JPEG").symlink_to(train.root / known)
    found, run = neighbours(imagenet, v2=imagenet / "v2", real=imagenet / "real.json", subsets=imagenet)

    assert {name: found[name] for name in plain} == plain
    assert set(found) - set(plain) == set(EXTRA_METRICS[KNN]) and set(EXTRA_METRICS[KNN]) < set(run.intervals)
    num_classes = len({label for _, label in train.entries})
    assert found["top1_v2"] == pytest.approx(num_classes / 10, abs=0.2)  # the evaluation's crop is not the whole image
    assert found["top1_10pct"] == found["top1"]
    assert found["top1_1pct"] == pytest.approx(100 * sum(not label for _, label in split.entries) / len(split.entries))
    extras = {name for name in run.fingerprints if name.startswith(EXTRA)}
    assert extras == {EXTRA + name.removeprefix("top1_") for name in EXTRA_METRICS[KNN]}
    assert found["top1_real"] == pytest.approx(told_by_real(imagenet, split, labels), abs=1e-6)


def test_an_edited_extra_is_told_by_its_own_fingerprint(imagenet):
    entries = open_split(knn().data, "train", Roots(imagenet1k=imagenet / "world" / "imagenet"), None).entries
    names = [path.rpartition("/")[2] for path, _ in entries]
    marks = []
    for num in (10, 11):
        (imagenet / "1percent.txt").write_text("\n".join(names[:num]))
        (imagenet / "10percent.txt").write_text("\n".join(names))
        (imagenet / "real.json").write_text(json.dumps([[num]] * 50_000))
        _, run = neighbours(imagenet, real=imagenet / "real.json", subsets=imagenet)
        marks.append(run.fingerprints)
    assert {name for name in marks[0] if marks[0][name] != marks[1][name]} == {f"{EXTRA}1pct", f"{EXTRA}real"}


def told_by_real(folder, split, labels):
    """ReaL's accuracy from one image after another."""
    roots = Roots(imagenet1k=folder / "world" / "imagenet")
    run = Run(folder, {"encoder": folder / "encoder"}, Site(device="cpu", data=roots), join_group("cpu"))
    config = knn().replace(k=(1,), image_size=24, precision="fp32")
    frozen = freeze(run, 24, "cls")
    bank, val = (extract(config, run, frozen, run.open_split(config.data, name)) for name in ("train", "val"))
    told = predict(config, val, bank)[1].tolist()
    counted = [(one, labels[int(path[-13:-5]) - 1]) for one, (path, _) in zip(told, split.entries, strict=True)]
    right = [one in known for one, known in counted if known]
    return 100 * sum(right) / len(right)
