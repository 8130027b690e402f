"""The synthetic data: the same files every time, in layouts that the usual loaders read."""

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image
from sklearn.datasets import load_digits

from caebench.datasets.broad import KINDS
from caebench.datasets.errors import DataError
from caebench.datasets.registry import DATASETS
from caebench.datasets.synthetic import materials
from caebench.datasets.synthetic.rendering import FIRST_DIGIT_LABEL, draw_scene, run_lengths
from caebench.datasets.synthetic.world import MARKER, render
from caebench.specs.world import World


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def unpack_run_lengths(counts: list[int], size: list[int]) -> np.ndarray:
    """COCO's definition, written out: zeros first, column by column."""
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    return flat.reshape(size[1], size[0]).T.astype(bool)


@pytest.fixture(scope="module")
def tiny() -> World:
    return World(kind="world", image_size=24, num_train=10, num_val=5, num_scenes_train=2, num_scenes_val=1)


def test_rendering_twice_gives_identical_bytes(small_world, world_root, tmp_path):
    render(small_world.amounts(), tmp_path / "again")
    assert tree(tmp_path / "again") == tree(world_root)


def test_another_seed_gives_other_images_under_the_same_names(tiny, tmp_path):
    render(tiny.amounts(), tmp_path / "a")
    render(tiny.replace(seed=1).amounts(), tmp_path / "b")
    a, b = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert a.keys() == b.keys()
    images = [name for name in a if name.lower().endswith((".jpg", ".jpeg", ".png"))]
    assert images and all(a[name] != b[name] for name in images)


def test_an_image_does_not_depend_on_how_many_there_are(tiny, tmp_path):
    render(tiny.amounts(), tmp_path / "few")
    render(tiny.replace(num_train=12, num_val=7, num_scenes_train=3, num_scenes_val=2).amounts(), tmp_path / "more")
    few, more = tree(tmp_path / "few"), tree(tmp_path / "more")
    for name in few:
        if name.lower().endswith((".jpg", ".jpeg", ".png")):
            assert few[name] == more[name], name


def test_an_interrupted_render_ends_in_the_same_files_when_run_again(tiny, tmp_path):
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 17:
            raise Stop

    render(tiny.amounts(), tmp_path / "unbroken")
    with pytest.raises(Stop):
        render(tiny.amounts(), tmp_path / "broken", stop)
    half_written = next((tmp_path / "broken").rglob("*.JPEG"))
    half_written.write_bytes(half_written.read_bytes()[:100])
    render(tiny.amounts(), tmp_path / "broken")
    assert tree(tmp_path / "broken") == tree(tmp_path / "unbroken")


def test_progress_counts_every_image(tiny, tmp_path):
    seen: list[tuple[int, int]] = []
    render(tiny.amounts(), tmp_path, lambda done, total: seen.append((done, total)))
    num_images = sum(name.lower().endswith((".jpg", ".jpeg")) for name in tree(tmp_path))
    assert seen == [(done, num_images) for done in range(1, num_images + 1)]


def test_two_worlds_never_mix_in_one_root(tiny, tmp_path):
    render(tiny.amounts(), tmp_path)
    before = tree(tmp_path)
    with pytest.raises(DataError, match="another world"):
        render(tiny.replace(seed=1).amounts(), tmp_path)
    assert tree(tmp_path) == before


def test_real_data_in_the_root_is_left_alone(tiny, tmp_path):
    (tmp_path / "imagenet" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="imagenet"):
        render(tiny.amounts(), tmp_path)


def test_imagenet_is_read_by_torchvision(world_root):
    for split, num in (("train", 40), ("val", 20)):
        folder = torchvision.datasets.ImageFolder(world_root / "imagenet" / split)
        assert len(folder.classes) == DATASETS["imagenet1k"].num_rendered_classes
        assert Counter(folder.targets) == dict.fromkeys(range(10), num // 10)
        image, _ = folder[0]
        assert image.size == (32, 32)


def test_food101_is_read_by_torchvision(world_root):
    for split, num in (("train", 40), ("test", 20)):
        food = torchvision.datasets.Food101(world_root, split=split, download=False)
        assert len(food) == num
        assert len(food.classes) == DATASETS["food101"].num_rendered_classes
        assert {food[index][1] for index in range(num)} == set(range(20))
    meta = world_root / "food-101" / "meta"
    for name in ("train", "test"):
        listed = json.loads((meta / f"{name}.json").read_text())
        assert (meta / f"{name}.txt").read_text().split() == [path for paths in listed.values() for path in paths]
    assert (meta / "classes.txt").read_text().split() == sorted(listed)
    assert len((meta / "labels.txt").read_text().splitlines()) == 20


@pytest.mark.parametrize("domain", ["clipart", "sketch"])
def test_domainnet_lists_name_each_image_once_with_its_class(world_root, domain):
    root = world_root / "domainnet"
    lines = [line for name in ("train", "test") for line in (root / f"{domain}_{name}.txt").read_text().splitlines()]
    listed = {path: int(label) for path, label in (line.split() for line in lines)}
    assert len(lines) == len(listed) == 60
    assert listed.keys() == {path.relative_to(root).as_posix() for path in (root / domain).rglob("*.jpg")}
    folders = sorted({path.split("/")[1] for path in listed})
    assert all(folders[label] == path.split("/")[1] for path, label in listed.items())


def test_ade20k_labels_fit_their_images_and_stay_in_range(world_root):
    root = world_root / "ADEChallengeData2016"
    seen = set()
    for split, num in (("training", 6), ("validation", 4)):
        maps = sorted((root / "annotations" / split).glob("*.png"))
        assert len(maps) == num
        for path in maps:
            with Image.open(path) as label, Image.open(root / "images" / split / f"{path.stem}.jpg") as image:
                assert label.mode == "L" and label.size == image.size == (64, 64)
                seen |= set(np.unique(np.asarray(label)).tolist())
    assert seen <= set(range(DATASETS["ade20k"].num_rendered_classes + 1))
    assert 0 in seen and any(label >= FIRST_DIGIT_LABEL for label in seen)
    rows = [line.split("\t") for line in (root / "objectInfo150.txt").read_text().splitlines()]
    num_classes = DATASETS["ade20k"].num_rendered_classes
    assert [row[0] for row in rows[1:]] == [str(label) for label in range(1, num_classes + 1)]
    assert sum(float(row[1]) for row in rows[1:]) <= 1.0 + 1e-2


@pytest.mark.parametrize(("split", "num"), [("train", 6), ("val", 4)])
def test_coco_annotations_agree_with_each_other_and_with_the_images(world_root, split, num):
    root = world_root / "coco"
    described = json.loads((root / "annotations" / f"instances_{split}2017.json").read_text())
    images = {image["id"]: image for image in described["images"]}
    assert len(images) == len(described["images"]) == num
    assert {image["file_name"] for image in images.values()} == {p.name for p in (root / f"{split}2017").iterdir()}
    categories = {category["id"] for category in described["categories"]}
    assert len(categories) == len(described["categories"]) == DATASETS["coco"].num_rendered_classes
    ids = [annotation["id"] for annotation in described["annotations"]]
    assert ids and len(ids) == len(set(ids))
    for annotation in described["annotations"]:
        image = images[annotation["image_id"]]
        with Image.open(root / f"{split}2017" / image["file_name"]) as opened:
            assert opened.size == (image["width"], image["height"])
        assert annotation["category_id"] in categories and annotation["iscrowd"] == 0
        assert annotation["segmentation"]["size"] == [image["height"], image["width"]]
        mask = unpack_run_lengths(**annotation["segmentation"])
        y, x = np.nonzero(mask)
        assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert annotation["area"] == mask.sum()


def test_instances_are_disjoint_and_lie_on_their_labels():
    for index in range(20):
        scene = draw_scene(np.random.default_rng(index), "train", 64)
        covered = np.zeros((64, 64), int)
        for instance in scene.instances:
            covered += instance.mask
            assert (scene.labels[instance.mask] == FIRST_DIGIT_LABEL + instance.digit).all()
        assert covered.max() <= 1


def test_run_lengths_start_with_zeros_even_when_there_are_none():
    mask = np.array([[True, False], [True, True]])
    assert run_lengths(mask) == [0, 2, 1, 1]
    assert run_lengths(~mask) == [2, 1, 1]


def test_no_digit_serves_both_splits():
    train = [source for sources in materials.digit_sources("train") for source in sources]
    val = [source for sources in materials.digit_sources("val") for source in sources]
    assert not set(train) & set(val)
    assert sorted(train + val) == list(range(1797))
    labels = load_digits().target
    for split in ("train", "val"):
        for digit, sources in enumerate(materials.digit_sources(split)):
            assert sources and (labels[list(sources)] == digit).all()


def test_no_piece_of_a_photograph_serves_both_splits(monkeypatch):
    """Paint the two parts of a photograph black and white: every train crop is black, every val crop white."""
    width, height = 600, 400
    halves = np.zeros((height, width, 3), np.uint8)
    halves[:, int(materials.TRAIN_SHARE * width) + materials.GAP // 2 :] = 255
    source = Image.fromarray(halves)
    monkeypatch.setattr(materials, "photograph", lambda name, shrink=1: source.reduce(shrink) if shrink > 1 else source)
    for index in range(50):
        dark = materials.crop(np.random.default_rng(index), "train", 48)
        light = materials.crop(np.random.default_rng(index), "val", 48)
        assert np.ptp(dark, axis=(0, 1)).max() == 0 and dark.max() <= 0.1
        assert np.ptp(light, axis=(0, 1)).max() < 1e-6 and light.min() >= 0.6


def test_no_two_data_sets_draw_the_same_random_numbers():
    drawn = [known.purpose + (split == "val") for known in DATASETS.values() for split in known.rendered_splits]
    assert len(set(drawn)) == len(drawn) and 0 not in drawn


@pytest.mark.parametrize("name", DATASETS)
def test_a_rendered_set_has_the_size_that_it_declares(name, small_world, world_root):
    known, roots = DATASETS[name], {other: world_root / DATASETS[other].folder for other in DATASETS}
    report = known.check(roots, known.rendered(small_world.amount(name)))
    assert report.ok, report.problems


def test_rendering_and_checking_never_import_torch():
    imports = "import sys, caebench.datasets.synthetic.world, caebench.datasets.registry"
    code = f"{imports}; print(sorted({{'torch', 'torchvision'}} & set(sys.modules)))"
    assert ast.literal_eval(subprocess.check_output([sys.executable, "-c", code], text=True)) == []


def test_the_broad_set_has_every_kind_of_picture_and_other_ones_than_the_layouts(world_root):
    broad = world_root / "broad"
    for split, num in (("train", 40), ("val", 20)):
        images = list((broad / split).rglob("*.JPEG"))
        assert Counter(path.parent.name for path in images) == dict.fromkeys(KINDS, num // 5)
    elsewhere = {path.read_bytes() for path in world_root.rglob("*.JPEG") if "broad" not in path.parts}
    assert elsewhere.isdisjoint(path.read_bytes() for path in broad.rglob("*.JPEG"))


def test_a_layout_is_the_same_alone_and_among_others(small_world, world_root, tmp_path):
    render(small_world.amounts(["clipart"]), tmp_path)
    alone, whole = tree(tmp_path), tree(world_root)
    assert {name for name in whole if name.startswith("domainnet/clipart")} == alone.keys() - {MARKER}
    assert all(whole[name] == content for name, content in alone.items() if name != MARKER)
