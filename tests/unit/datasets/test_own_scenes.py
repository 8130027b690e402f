"""A user's pictures and masks: how they may lie, how many classes there are, and what is wrong with them."""

import shutil

import pytest
from PIL import Image

from caebench.datasets.errors import DataError
from tests.own_sets import CLASSES, make_scenes, mask, own, picture

LAYOUTS = {
    "kind first": ("{kind}/{split}", ("images", "masks")),
    "split first": ("{split}/{kind}", ("images", "masks")),
    "annotations": ("{kind}/{split}", ("images", "annotations")),
    "labels": ("{split}/{kind}", ("images", "labels")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_are_found_with_their_masks(tmp_path, layout):
    dataset, roots = own(make_scenes(tmp_path, *LAYOUTS[layout]), "segmentation")
    found = dataset.measure(roots)
    assert found.size == (3, 4, 2)
    report = dataset.check(roots, found.size)
    assert report.ok and report.fingerprint == found.fingerprint
    split = dataset.open(roots, "val", found.size)
    assert split.classes == CLASSES and not split.zero_is_other
    assert [(image[-5:], mask[-5:]) for image, mask in split.pairs] == [("4.jpg", "4.png"), ("5.jpg", "5.png")]


def test_without_splits_a_share_is_held_out(tmp_path):
    dataset, roots = own(make_scenes(tmp_path, "{kind}", num=10), "segmentation", val_share=0.3)
    size = dataset.measure(roots).size
    assert size == (3, 7, 3)
    splits = [set(dataset.open(roots, split, size).pairs) for split in ("train", "val")]
    assert len(splits[0] | splits[1]) == 10


def test_classes_without_names_are_numbers(tmp_path):
    root = make_scenes(tmp_path)
    (root / "classes.txt").unlink()
    dataset, roots = own(root, "segmentation", num_classes=3)
    assert dataset.open(roots, "train", dataset.measure(roots).size).classes == ("0", "1", "2")


def crop(path, size):
    with Image.open(path) as image:
        image.crop((0, 0, *size)).save(path)


FAULTS = {  # found when a suite is planned
    "no number of classes": (
        lambda root: (root / "classes.txt").unlink(),
        "mine: no classes.txt and no num_classes, expected one of them: no mask is opened to plan a suite. Write ",
    ),
    "one class": (
        lambda root: (root / "classes.txt").write_text("cell\n"),
        "classes.txt: names 1 classes, expected 2 to 255. Correct it, or [data.mine] num_classes in the site file.",
    ),
    "a class twice": (
        lambda root: (root / "classes.txt").write_text("cell\nrim\ncell\n"),
        "classes.txt: class 'cell' twice. Give each class a name of its own.",
    ),
    "no masks": (
        lambda root: shutil.rmtree(root / "masks"),
        "images/train: pictures, and none of ",
    ),
    "no training pictures": (
        lambda root: shutil.rmtree(root / "images" / "train"),
        "images/val, and none of images/train, train/images, images/training, training/images, ",
    ),
    "an empty split": (
        lambda root: [path.unlink() for kind in ("images", "masks") for path in (root / kind / "val").iterdir()],
        "mine: 0 validation pictures, expected at least 1. ",
    ),
    "a mask missing": (
        lambda root: (root / "masks" / "train" / "1.png").unlink(),
        "images/train/1.jpg: no mask of this name in ",
    ),
    "a picture missing": (
        lambda root: (root / "images" / "train" / "1.jpg").unlink(),
        "masks/train/1.png: no picture of this name in ",
    ),
    "a name twice": (
        lambda root: picture(root / "images" / "train" / "1.png"),
        "images/train/1.png: of the same name as 1.jpg. Remove one of them.",
    ),
    "masks as JPEG": (
        lambda root: (root / "masks" / "val" / "4.png").rename(root / "masks" / "val" / "4.jpg"),
        "masks/val/4.jpg: a mask as .jpg, which does not keep values exactly, expected PNG. Write the masks again",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_folders_is_one_line(tmp_path, fault):
    damage, said = FAULTS[fault]
    root = make_scenes(tmp_path / "mine")
    damage(root)
    dataset, roots = own(root, "segmentation")
    with pytest.raises(DataError) as raised:
        dataset.measure(roots)
    assert said in str(raised.value) and "\n" not in str(raised.value)


DAMAGED = {  # found by opening
    "another size": (
        lambda root: mask(root / "masks" / "train" / "1.png", size=(40, 48)),
        ("images/train/1.jpg: 48x48 pixels, where its mask ", "1.png has 40x48. Restore it, or remove picture and"),
    ),
    "a value beyond": (
        lambda root: mask(root / "masks" / "val" / "4.png", top=4),
        ("val/4.png: label 4, expected 0 to 2, or 255 where it is ignored. Correct the mask, or name all classes.",),
    ),
    "a mask in colour": (
        lambda root: picture(root / "masks" / "val" / "4.png"),
        ("val/4.png: a label map of mode RGB, expected one channel of 8 bits. Write the mask again as PNG.",),
    ),
    "no image": (
        lambda root: (root / "images" / "val" / "4.jpg").write_bytes(b"no image"),
        ("images/val/4.jpg: not readable as an image",),
    ),
    "an empty file": (
        lambda root: (root / "masks" / "val" / "5.png").write_bytes(b""),
        ("masks/val/5.png: an empty file",),
    ),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_check_opens_every_mask(tmp_path, fault):
    damage, said = DAMAGED[fault]
    root = make_scenes(tmp_path)
    damage(root)
    dataset, roots = own(root, "segmentation")
    (problem,) = dataset.check(roots, dataset.measure(roots).size).problems
    assert all(part in str(problem) for part in said), str(problem)
