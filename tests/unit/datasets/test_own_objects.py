"""A user's objects in COCO's format: the usual names of the files, and what is wrong with them."""

import json

import pytest

from caebench.datasets.errors import DataError
from tests.own_sets import describe, make_objects, own, picture

LAYOUTS = {
    "COCO's": ("annotations/instances_{split}2017.json", "{split}2017", ("train", "val")),
    "COCO's, images below a folder": ("annotations/instances_{split}.json", "images/{split}", ("train", "val")),
    "Roboflow's": ("{split}/_annotations.coco.json", "{split}", ("train", "valid")),
    "files by split": ("annotations/{split}.json", "images", ("train", "val")),
    "beside the images": ("{split}.json", ".", ("train", "test")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_annotation_files_are_found_with_their_images(tmp_path, layout):
    dataset, roots = own(make_objects(tmp_path, *LAYOUTS[layout]), "coco")
    found = dataset.measure(roots)
    assert found.size == (2, 4, 2)
    report = dataset.check(roots, found.size)
    assert report.ok and report.fingerprint == found.fingerprint
    split = dataset.open(roots, "val", found.size)
    assert split.classes == ("cell", "rim") and (tmp_path / split.labels).is_file()


def test_a_site_may_name_the_files(tmp_path):
    root = make_objects(tmp_path, "some/{split} of us.json", "{split}")
    dataset, roots = own(root, "coco", train="some/train of us.json", val="some/val of us.json")
    assert dataset.measure(roots).size == (2, 4, 2)


def test_pictures_that_training_leaves_out_are_not_counted(tmp_path):
    """mmdetection leaves out those without an object, and those with a side below 32 pixels."""
    root = make_objects(tmp_path)
    described = describe(["a.jpg", "b.jpg", "c.jpg"])
    described["annotations"] = [one for one in described["annotations"] if one["image_id"] != 2]
    described["images"][2].update(width=31)
    for name, size in (("a.jpg", (48, 48)), ("b.jpg", (48, 48)), ("c.jpg", (31, 48))):
        picture(root / "train2017" / name, size=size)
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(described))
    dataset, roots = own(root, "coco")
    size = dataset.measure(roots).size
    assert size.train == 1 and dataset.check(roots, size).ok


EDITS = {
    "another class": lambda found: found["annotations"][0].update(category_id=2),
    "a moved box": lambda found: found["annotations"][0]["bbox"].__setitem__(0, 1.5),
    "a crowd": lambda found: found["annotations"][0].update(iscrowd=1),
    "another mask": lambda found: found["annotations"][0].update(segmentation=[[1, 1, 9, 1, 9, 9]]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_object_is_another_fingerprint(tmp_path, edit):
    dataset, roots = own(make_objects(tmp_path), "coco")
    before = dataset.measure(roots).fingerprint
    change(EDITS[edit])(tmp_path)
    assert dataset.measure(roots).fingerprint != before


def test_what_neither_training_nor_evaluation_sees_leaves_the_fingerprint(tmp_path):
    dataset, roots = own(make_objects(tmp_path), "coco")
    before = dataset.measure(roots).fingerprint
    change(lambda found: (found["annotations"].reverse(), found.update(info={"year": 2026})))(tmp_path)
    assert dataset.measure(roots).fingerprint == before


def change(edit, split="train"):
    def changed(root):
        path = root / "annotations" / f"instances_{split}2017.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))

    return changed


def without_masks(found):
    for one in found["annotations"][:3]:
        one["segmentation"] = []


FAULTS = {  # found when a suite is planned
    "boxes alone": (
        change(without_masks),
        "3 of 8 objects have no mask (polygons or run lengths). Mask R-CNN learns masks: give each object one, or",
    ),
    "an unknown image": (
        change(lambda found: found["annotations"][0].update(image_id=77)),
        "instances_train2017.json, annotation 1: image_id 77, which no image has. ",
    ),
    "an unknown category": (
        change(lambda found: found["annotations"][0].update(category_id=7)),
        "instances_train2017.json, annotation 1: category_id 7, which no category has. ",
    ),
    "no validation file": (
        lambda root: (root / "annotations" / "instances_val2017.json").unlink(),
        "no annotation file of `val`, expected one as annotations/instances_val*.json, ",
    ),
    "other categories": (
        change(lambda found: found["categories"][0].update(name="hole"), "val"),
        "category 1 is 'hole', and in ",
    ),
    "an empty split": (
        change(lambda found: found.update(images=[], annotations=[]), "val"),
        "instances_val2017.json: no images, expected some of `val`. ",
    ),
    "two files": (
        lambda root: (root / "annotations" / "instances_train2014.json").write_text("{}"),
        "2 annotation files of `train`: instances_train2014.json, instances_train2017.json. Name one of them",
    ),
    "pictures elsewhere": (
        lambda root: (root / "train2017").rename(root / "pictures"),
        "its first image 'train0.jpg' is in none of ",
    ),
    "no JSON": (
        lambda root: (root / "annotations" / "instances_val2017.json").write_text("{"),
        "instances_val2017.json: not readable as JSON (",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(tmp_path, fault):
    damage, said = FAULTS[fault]
    root = make_objects(tmp_path)
    damage(root)
    dataset, roots = own(root, "coco")
    with pytest.raises(DataError) as raised:
        dataset.measure(roots)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_check_finds_missing_pictures_and_those_of_another_size(tmp_path):
    root = make_objects(tmp_path)
    (root / "train2017" / "train1.jpg").unlink()
    picture(root / "val2017" / "val0.jpg", size=(50, 48))
    dataset, roots = own(root, "coco")
    missing, other = map(str, dataset.check(roots, dataset.measure(roots).size).problems)
    assert "train2017/train1.jpg: no such file, though it is listed in the annotations" in missing
    assert "val2017/val0.jpg: 50x48 pixels, where the annotations say 48x48" in other
