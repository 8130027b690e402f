"""What a dense job finds before it trains: its data as published, or one error that says what to do."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from caebench.datasets.errors import DataError
from caebench.specs.inputs.dataset import SyntheticData

ADE, COCO = "world/ADEChallengeData2016", "world/coco"
INSTANCES = f"{COCO}/annotations/instances_train2017.json"


@pytest.fixture
def opened(world_root, small_world, tmp_path):
    """A copy of both layouts, and a function that opens one as a job does."""
    shutil.copytree(world_root, tmp_path / "world")

    def open_one(name, split="train"):
        data = SyntheticData(kind="synthetic", name=name, world=small_world)
        return data.dataset.open(data.roots({}, {"data": tmp_path}), split, data.size)

    return tmp_path, open_one


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_both_sets_are_described(opened):
    _, open_one = opened
    scenes, objects = open_one("ade20k", "val"), open_one("coco")
    assert len(scenes.classes) == 5 and scenes.images == "images/validation"
    assert len(objects.classes) == 3 and objects.labels == "annotations/instances_train2017.json"
    assert scenes.fingerprint != objects.fingerprint


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("coco", lambda root: (root / INSTANCES).unlink(), ("instances_train2017.json", "no such file")),
        (
            "coco",
            lambda root: change_json(root / INSTANCES, lambda found: found["categories"].pop()),
            ("2 categories, expected 3",),
        ),
        (
            "coco",
            lambda root: change_json(
                root / INSTANCES, lambda found: found["annotations"][0]["segmentation"].update(counts=[64 * 64])
            ),
            ("annotation", "no mask"),
        ),
        (
            "ade20k",
            lambda root: next((root / ADE / "annotations/training").iterdir()).unlink(),
            ("annotations/training", "no such file"),
        ),
        ("ade20k", lambda root: (root / ADE / "images/training/abbey").mkdir(), ("full ADE20K", "SceneParse-150")),
        ("ade20k", lambda root: (root / ADE / "objectInfo150.txt").unlink(), ("objectInfo150.txt", "no such file")),
        (
            "ade20k",
            lambda root: (root / ADE / "objectInfo150.txt").write_text("Idx\tName\n1\twall\n"),
            ("1 classes, expected 5",),
        ),
    ],
)
def test_damage_is_one_error_with_a_place_and_a_remedy(opened, name, damage, said):
    root, open_one = opened
    damage(root)
    with pytest.raises(DataError) as caught:
        open_one(name)
    message = str(caught.value)
    assert str(root) in message and all(words in message for words in said), message
    assert any(remedy in message for remedy in ("again", "Use the published", "get ADEChallengeData2016.zip")), message


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_photographs_are_read_as_colour(opened, mode):
    """Both sets have a few: they are converted, not refused."""
    from mmengine.registry import init_default_scope

    from caebench.tasks.dense import segmentation

    root, open_one = opened
    first = min((root / ADE / "images/training").iterdir())
    with Image.open(first) as image:
        expected = image.convert(mode).convert("RGB")
        image.convert(mode).save(first, quality=95)
    init_default_scope("mmseg")
    sample = segmentation.evaluation_dataset(open_one("ade20k"), 64)[0]
    found = sample["inputs"].flip(0).float()  # OpenCV reads blue first
    assert sample["data_samples"].img_path == str(first) and found.shape == (3, 64, 64)
    assert expected.size == (64, 64)
    difference = np.abs(found.permute(1, 2, 0).numpy() - np.asarray(expected, np.float32))
    assert difference.mean() < 8, mode
