"""COCO's annotations: what pycocotools can use is sound, and all else is an error that names file and annotation."""

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as masks

from caebench.datasets.coco import COCO
from caebench.datasets.inspection import Inspection
from caebench.specs.world import World

INSTANCES = "annotations/instances_val2017.json"
SQUARE = [1, 1, 9, 1, 9, 9, 1, 9]
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def changed(world_root, tmp_path, small_world: World):
    """Change the validation file, and check the data set as a job does: no picture is opened."""

    def change(how: Change) -> tuple[Inspection, dict[str, Any]]:
        root = shutil.copytree(world_root / "coco", tmp_path / "coco")
        described = json.loads((root / INSTANCES).read_text())
        how(described)
        (root / INSTANCES).write_text(json.dumps(described))
        size = COCO.rendered(small_world.amount("coco"))
        return COCO.check({"coco": root}, size, decode=False), described

    return change


def update(part: str, **values: Any) -> Change:
    return lambda described: described[part][1].update(values)


def drop(key: str) -> Change:
    return lambda described: described["annotations"][1].pop(key)


def run_lengths(mask: np.ndarray) -> str:
    return masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda described: described.pop("info"),
        lambda described: described.pop("licenses"),
        lambda described: described["categories"].reverse(),
        lambda described: described["annotations"].reverse(),
        update("annotations", segmentation=[[3, 3], SQUARE]),
        update("annotations", segmentation=[[3, 3, 5, 5], SQUARE]),
        update("annotations", bbox=[3, 3, 0, 0]),
        update("annotations", iscrowd=1),
    ],
)
def test_what_pycocotools_can_use_is_sound(change, changed):
    report, _ = changed(change)
    assert report.ok, report.problems


@pytest.mark.parametrize("seed", range(8))
def test_compressed_run_lengths_are_read_as_pycocotools_does(seed, changed):
    """A crowd's, too."""
    rng = np.random.default_rng(seed)
    text = run_lengths(rng.random((64, 64)) < (seed + 1) / 10)
    report, _ = changed(update("annotations", segmentation={"size": [64, 64], "counts": text}, iscrowd=seed % 2))
    assert report.ok, report.problems


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (update("annotations", segmentation=[[3, 3]]), "no mask, expected polygons or run lengths in 'segmentation'"),
        (
            update("annotations", segmentation=SQUARE),
            "a polygon that is no list of numbers in 'segmentation', expected [[x, y, x, y, ...], ...]",
        ),
        (
            update("annotations", segmentation={"size": [64, 64], "counts": [10, 5]}),
            "run lengths that do not add up to height and width [64, 64]",
        ),
        (
            update("annotations", segmentation={"size": [64, 64], "counts": run_lengths(np.eye(64))[:-2]}),
            "run lengths that do not add up to height and width [64, 64]",
        ),
        (update("annotations", segmentation={"counts": [10, 5]}), "no mask, expected polygons or run lengths in"),
        (drop("area"), "area None, expected a number of pixels"),
        (drop("iscrowd"), "iscrowd None, expected 0 or 1"),
        (drop("bbox"), "bbox None, expected [x, y, width, height]"),
        (update("annotations", bbox=[1, 2, None, 4]), "bbox [1, 2, None, 4], expected [x, y, width, height]"),
        (update("annotations", area=float("nan")), "area nan, expected a number of pixels"),
        (update("annotations", area=10**400), "area 10000"),
        (update("annotations", image_id=7), "image_id 7, which no image has"),
        (update("annotations", image_id=[7]), "image_id [7], which no image has"),
        (update("annotations", category_id=9), "category_id 9, which no category has"),
        (update("annotations", category_id={}), "category_id {}, which no category has"),
        (update("annotations", id=0), "id 0, which pycocotools takes for no match, expected 1 and above"),
    ],
)
def test_what_it_would_stop_at_is_an_error_with_file_and_annotation(change, said, changed):
    report, described = changed(change)
    (problem,) = report.problems
    where = f"{report.root / INSTANCES}, annotation {described['annotations'][1]['id']}"
    assert str(problem).startswith(f"{where}: {said}")
    assert problem.do == f"Use the published annotation file. {COCO.source}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("id"), "one of annotations has no whole number as id: {'image_id': "),
        (lambda described: described["images"].append("a.jpg"), "one of images has no whole number as id: a.jpg"),
        (lambda described: described["annotations"].append(None), "one of annotations has no whole number as id: None"),
        (
            lambda described: [one.update(id=77) for one in described["annotations"][:2]],
            "2 annotations of id 77, expected one",
        ),
        (
            lambda described: described["images"][0].update(file_name=described["images"][1]["file_name"]),
            "2 images of file_name '000000500002.jpg', expected one",
        ),
        (
            lambda described: described["images"][0].update(file_name="./000000500002.jpg"),
            "image 500001 of file_name './000000500002.jpg', expected a name as in 000000000001.jpg",
        ),
        (
            update("images", file_name=["a"]),
            "image 500002 of file_name ['a'], expected a name as in 000000000001.jpg",
        ),
        (update("categories", name={}), "a category without a number as id and a text as name: {"),
        (
            update("images", width=2**31),
            "image 500002 of width and height [2147483648, 64], expected whole numbers above 0, to 65535",
        ),
        (
            update("images", width="64"),
            "image 500002 of width and height ['64', 64], expected whole numbers above 0",
        ),
    ],
)
def test_entries_that_cannot_be_told_apart_are_an_error_of_the_file(change, said, changed):
    report, _ = changed(change)
    (problem,) = report.problems
    assert str(problem).startswith(f"{report.root / INSTANCES}: {said}")
    assert problem.do == f"Unpack annotations_trainval2017.zip again. {COCO.source}"


def test_run_lengths_of_one_endless_number_are_refused_at_once(world_root, tmp_path, small_world):
    path = tmp_path / "coco" / "annotations" / "instances_val2017.json"
    shutil.copytree(world_root / "coco", tmp_path / "coco")
    described = json.loads(path.read_text(encoding="utf8"))
    described["annotations"][0]["segmentation"]["counts"] = "o" * 2_000_000
    described["images"][0]["file_name"] = described["images"][0]["file_name"] + "\ud800"
    path.write_text(json.dumps(described), encoding="utf8")
    started = time.monotonic()
    report = COCO.check({"coco": tmp_path / "coco"}, COCO.rendered(small_world.amount("coco")), decode=False)
    assert not report.ok and time.monotonic() - started < 5.0
