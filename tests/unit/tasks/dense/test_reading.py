"""Dense tasks read pictures as stored, as mmcv reads those without a tag, and want the size of their labels."""

import shutil

import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

from caebench.data.randomness import seeded_everywhere
from caebench.datasets.errors import DataError
from caebench.planning.scale import NANO
from caebench.specs.evaluations.detection import coco
from caebench.specs.inputs.dataset import SyntheticData
from caebench.tasks.dense import detection, segmentation
from caebench.tasks.dense.reading import ReadPicture
from tests.pictures import tag

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
TASKS = ("segmentation-train", "segmentation-val", "detection-train", "detection-val")
FOLDERS = {"segmentation": "ADEChallengeData2016/images", "detection": "coco"}


@pytest.fixture
def world(world_root, tmp_path):
    return shutil.copytree(world_root, tmp_path / "world")


def dataset_of(task, small_world, folder):
    """What the training or the validation of a task reads."""
    kind, _, split = task.partition("-")
    init_default_scope("mmseg" if kind == "segmentation" else "mmdet")
    data = SyntheticData(kind="synthetic", name="ade20k" if kind == "segmentation" else "coco", world=small_world)
    found = data.dataset.open(data.roots({}, {"data": folder}), split, data.size)
    if kind == "segmentation":
        make = segmentation.training_dataset if split == "train" else segmentation.evaluation_dataset
        return make(found, 48)
    return detection.make_dataset(NANO.apply(coco()), found, training=split == "train")


def sample_of(dataset, index):
    with seeded_everywhere(index):
        return dataset[index]


def labels_of(sample):
    data = sample["data_samples"]
    if "gt_sem_seg" in data:
        return [data.gt_sem_seg.data]
    return [data.gt_instances.bboxes.tensor, data.gt_instances.labels, torch.as_tensor(data.gt_instances.masks.masks)]


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("task", TASKS)
def test_a_tag_changes_neither_pixels_nor_labels(task, orientation, world, small_world, tmp_path):
    dataset = dataset_of(task, small_world, tmp_path)
    expected = [sample_of(dataset, index) for index in range(len(dataset))]
    pictures = sorted((world / FOLDERS[task.partition("-")[0]]).rglob("*.jpg"))
    for path in pictures:
        tag(path, orientation)
    turned = mmcv.imread(str(pictures[0]))
    assert not np.array_equal(turned, mmcv.imread(str(pictures[0]), "color_ignore_orientation")), "mmcv obeys the tag"
    for index, plain in enumerate(expected):
        tagged = sample_of(dataset, index)
        assert torch.equal(tagged["inputs"], plain["inputs"])
        assert all(torch.equal(*pair) for pair in zip(labels_of(tagged), labels_of(plain), strict=True))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_picture_without_a_tag_is_read_as_mmcv_reads_it(suffix, mode, world, tmp_path):
    """Byte for byte, blue first: numbers from before this reader stay what they were."""
    with Image.open(min((world / "coco/train2017").iterdir())) as image:
        image.convert(mode).resize((50, 34)).save(tmp_path / f"a.{suffix}")
    results = ReadPicture().transform({"img_path": str(tmp_path / f"a.{suffix}")})
    expected = mmcv.imread(str(tmp_path / f"a.{suffix}"))
    assert np.array_equal(results["img"], expected) and results["img"].flags.c_contiguous
    assert results["img_shape"] == results["ori_shape"] == (34, 50)


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_of_another_size_than_its_labels_is_an_error_with_its_tag(task, world, small_world, tmp_path):
    dataset = dataset_of(task, small_world, tmp_path)
    info = dataset.get_data_info(0)
    path = world / info["img_path"]
    with Image.open(path) as image:
        image.resize((64, 40)).save(path)
    tag(path, 6)
    says = f"its label map {info['seg_map_path']} has" if task.startswith("segmentation") else "the annotations say"
    with pytest.raises(DataError) as caught:
        sample_of(dataset, 0)
    assert caught.value.where == str(path)
    assert caught.value.what == f"64x40 pixels stored, with EXIF orientation 6, where {says} 64x64"
    assert "ADR 28" in caught.value.do


def test_a_damaged_picture_is_an_error_that_names_it(world, small_world, tmp_path):
    dataset = dataset_of("detection-val", small_world, tmp_path)
    path = world / dataset.get_data_info(0)["img_path"]
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match="cannot be read as an image") as caught:
        sample_of(dataset, 0)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path, labels: path.write_bytes(path.read_bytes()[:-60]), "cannot be read as an image ("),
        (lambda path, labels: path.unlink(), "cannot be read as an image ("),
        (lambda path, labels: labels.convert("RGB").save(path), "a label map of mode RGB, expected one channel"),
        (lambda path, labels: labels.convert("I;16").save(path), "a label map of mode I;16, expected one channel of 8"),
        (lambda path, labels: labels.point(lambda one: 6).save(path), "label 6, expected 0 (other) to 5"),
    ],
)
@pytest.mark.parametrize("task", ["segmentation-train", "segmentation-val"])
def test_a_label_map_that_is_none_is_an_error_that_names_it(task, spoil, said, world, small_world, tmp_path):
    dataset = dataset_of(task, small_world, tmp_path)
    path = world / dataset.get_data_info(0)["seg_map_path"]
    with Image.open(path) as labels:
        labels.load()
    spoil(path, labels)
    with pytest.raises(DataError) as caught:
        sample_of(dataset, 0)
    assert caught.value.where == str(path) and caught.value.what.startswith(said)
