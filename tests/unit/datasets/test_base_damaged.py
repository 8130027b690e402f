"""What a job would fail on, a check finds without opening an image: by the same words."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from caebench.datasets.errors import DataError
from caebench.datasets.inspection import Inspection
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.specs.world import World


@pytest.fixture
def world(world_root, tmp_path):
    """A copy of all layouts, to be damaged."""
    return shutil.copytree(world_root, tmp_path / "world")


def roots(world):
    return {name: world / known.folder for name, known in DATASETS.items()}


@pytest.fixture
def check(world, small_world: World):
    def run(name: str, **options) -> Inspection:
        known = DATASETS[name]
        return known.check(roots(world), known.rendered(small_world.amount(name)), **options)

    return run


PICTURES = {
    "imagenet1k": "imagenet/train/n00000003",
    "imagenet_v2": "imagenetv2/3",
    "food101": "food-101/images/plain_one",
    "clipart": "domainnet/clipart/one",
    "ade20k": "ADEChallengeData2016/images/training",
    "coco": "coco/val2017",
}


def a_broken_link(path):
    path.unlink()
    path.symlink_to("nowhere.jpg")


def an_empty_file(path):
    path.write_bytes(b"")


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def only(report: Inspection) -> DataError:
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


FILES = {
    "food101": ("food-101/meta/train.json", "food-101/meta/test.json"),
    "clipart": ("domainnet/clipart_train.txt", "domainnet/clipart_test.txt"),
    "ade20k": ("ADEChallengeData2016/objectInfo150.txt",),
    "coco": ("coco/annotations/instances_train2017.json", "coco/annotations/instances_val2017.json"),
    "imagenet_real": ("real.json",),
    "imagenet_1pct": ("imagenet_subsets/1percent.txt",),
}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in FILES.items() for path in paths])
@pytest.mark.parametrize("damage", ["missing", "empty", "binary"])
def test_what_a_job_cannot_read_is_what_a_check_says(name, path, damage, world, check, small_world):
    (world / path).unlink()
    if damage != "missing":
        (world / path).write_bytes(b"" if damage == "empty" else b"\xff\xfe\x00")
    problems = check(name, decode=False).problems
    size, known = PUBLISHED[name].rendered(small_world.amount(name)), DATASETS[name]
    said = set[str]()
    for split in known.own:
        try:
            known.open(roots(world), split, size)
        except DataError as error:
            said.add(str(error))
    assert said and said <= set(map(str, problems))
    assert any(problem.where.startswith(str(world / path)) for problem in problems)


def test_a_check_of_ade20k_misses_the_file_that_names_its_classes(world, check):
    path = world / "ADEChallengeData2016" / "objectInfo150.txt"
    path.unlink()
    do = "Unpack ADEChallengeData2016.zip again"
    assert str(only(check("ade20k"))) == f"{path}: no such file: it names the classes. {do}"


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (a_broken_link, "a broken link to nowhere.jpg"),
        (an_empty_file, "an empty file"),
        (a_folder, "a folder, expected a picture"),
        (a_pipe, "neither a file nor a folder, expected a picture"),
    ],
)
def test_a_picture_that_is_no_file_with_a_content_is_named_without_opening_it(name, spoil, said, decode, world, check):
    victim = min((world / PICTURES[name]).iterdir())
    spoil(victim)
    problem = next(one for one in check(name, decode=decode).problems if one.where == str(victim))
    assert str(problem) == f"{victim}: {said}. Unpack it again. {PUBLISHED[name].source}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_may_not_be_read_is_named_with_its_owner(name, world, check, monkeypatch):
    victim = min((world / PICTURES[name]).iterdir())
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != victim and access(path, mode))
    problem = only(check(name, decode=False))
    assert problem.where == str(victim) and problem.what.startswith("permission denied for ")
    assert f"chmod g+rw {victim}" in problem.do


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_32_bits_is_a_problem_and_one_of_16_a_note(name, world, check):
    wide, wider = sorted((world / PICTURES[name]).iterdir())[:2]
    pixels = np.asarray(Image.open(wide).convert("L"))
    Image.fromarray(pixels.astype(np.uint16) << 8).save(wide, "PNG")
    assert check(name).ok and check(name).notes == ["images that are of mode I;16, to be read as RGB: 1"]
    Image.fromarray(pixels.astype(np.float32)).save(wider, "TIFF")
    said = "floating-point numbers of 32 bits (mode F), whose range is not known, expected 8 or 16 bits"
    assert str(only(check(name))) == f"{wider}: {said}. Write the picture again with 8 bits a channel"


@pytest.mark.parametrize("name", PICTURES)
def test_a_decompression_bomb_is_named(name, world, check, monkeypatch):
    victim = min((world / PICTURES[name]).iterdir())
    Image.new("RGB", (640, 640)).save(victim, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    problem = only(check(name))
    assert problem.where == str(victim) and "exceeds limit of 8192 pixels" in problem.what
