"""A user's image folder: which images are in which split, with which label, and what is wrong with it."""

import pytest
from torchvision.datasets import ImageFolder as Torchvision

from caebench.datasets.errors import DataError
from caebench.datasets.own.formats import own_dataset
from caebench.datasets.own.layout import Layout
from caebench.datasets.splits import SPLITS, Size
from tests.pictures import write_folder

ANY = Size(2, 0, 0)


def dataset(**layout):
    return own_dataset("flowers", Layout("imagefolder", **layout))


def entries(root, split, **layout):
    return dataset(**layout).read({"flowers": root}, split, ANY).entries


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("training", "test"), ("train", "validation")])
def test_splits_are_folders_and_labels_are_torchvisions(tmp_path, train, val):
    write_folder(tmp_path, {f"{train}/rose": 3, f"{train}/aster": 2, f"{val}/aster": 1, f"{val}/rose": 2})
    for split, folder in zip(SPLITS, (train, val), strict=True):
        theirs = Torchvision(tmp_path / folder).samples
        assert [(str(tmp_path / path), label) for path, label in entries(tmp_path, split)] == theirs


def test_a_site_file_names_the_splits(tmp_path):
    write_folder(tmp_path, {"a/x": 2, "a/y": 2, "b/c/x": 1, "b/c/y": 1, "val/z": 1})
    assert [path for path, _ in entries(tmp_path, "val", train="a", val="b/c")] == ["b/c/x/0.png", "b/c/y/0.png"]


@pytest.mark.parametrize("top", ["", "train/"])
def test_without_a_validation_folder_a_share_of_each_class_is_held_out(tmp_path, top):
    write_folder(tmp_path, {f"{top}x": 10, f"{top}y": 5, f"{top}z": 2})
    found = {split: entries(tmp_path, split, val_share=0.2) for split in SPLITS}
    assert [sum(label == one for _, label in found["val"]) for one in range(3)] == [2, 1, 1]
    assert not set(found["train"]) & set(found["val"]) and sum(map(len, found.values())) == 17
    write_folder(tmp_path, {f"{top}x": 11, f"{top}y": 5, f"{top}z": 2})
    after = entries(tmp_path, "val", val_share=0.2)
    assert len(set(after) ^ set(found["val"])) <= 2, "a new image moves no others but one"


def test_the_fingerprint_tells_which_image_is_in_which_split(tmp_path):
    write_folder(tmp_path, {"a/x": 2, "a/y": 2, "b/x": 2, "b/y": 2})
    one, other = dataset(train="a", val="b"), dataset(train="b", val="a")
    roots = {"flowers": tmp_path}
    assert one.measure(roots).size == other.measure(roots).size == (2, 4, 4)
    assert one.measure(roots).fingerprint != other.measure(roots).fingerprint
    checked = one.check(roots, one.measure(roots).size)
    assert checked.ok and checked.fingerprint == one.measure(roots).fingerprint


WRONG = {
    "no folder": ({}, {}, "no such folder or file, wanted as the root of flowers"),
    "one class": ({"train/x": 2, "val/x": 1}, {}, "one class (x), expected at least two classes"),
    "one class, undivided": ({"x": 2}, {}, "one class (x), expected at least two classes"),
    "an empty class": ({"train/x": 2, "train/y": 0, "val/x": 1}, {}, "/train/y: a class folder without images"),
    "an empty split": ({"train/x": 2, "train/y": 2, "val": 0}, {}, "/val: an empty folder, expected a folder a class"),
    "no classes": ({"train": 3, "val/x": 1}, {}, "/train: 3 images that lie in no folder of a class"),
    "a class of val alone": ({"train/x": 2, "train/y": 2, "val/z": 1}, {}, "class 'z' has validation images, and no "),
    "val alone": ({"val/x": 2, "val/y": 2}, {}, "a folder val/, and none of train, training"),
    "a name": ({"train/x": 2, "train/y": 2, "val/x": 1}, {"val": "dev"}, "/dev: no such folder, named as `val`"),
    "one folder for both": (
        {"a/x": 2, "a/y": 2},
        {"train": "a", "val": "a"},
        "'a/x/0.png' and 3 more images in both splits",
    ),
    "nothing to hold out": ({"x": 1, "y": 1}, {}, "no validation images"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_folder_that_cannot_be_used_says_why_in_a_line(tmp_path, name):
    folders, layout, said = WRONG[name]
    root = tmp_path / "own"
    write_folder(root, folders)
    with pytest.raises(DataError) as caught:
        dataset(**layout).measure({"flowers": root})
    assert said in str(caught.value) and "site file" in caught.value.do
    report = dataset(**layout).check({"flowers": root}, ANY)
    assert any(said in str(problem) for problem in report.problems)


def test_a_check_opens_every_image(tmp_path):
    write_folder(tmp_path, {"train/x": 2, "train/y": 2, "val/x": 1, "val/y": 1})
    (tmp_path / "train" / "x" / "0.png").write_bytes(b"no picture")
    (tmp_path / "val" / "y" / "0.png").write_bytes(b"")
    roots = {"flowers": tmp_path}
    report = dataset().check(roots, dataset().measure(roots).size)
    assert [
        problem.where.rpartition("own/")[2].endswith(end)
        for problem, end in zip(report.problems, ("val/y/0.png", "train/x/0.png"), strict=True)
    ]
    assert all(
        problem.do.startswith("Restore it, or remove it. Correct the folder, or [data.flowers]")
        for problem in report.problems
    )
