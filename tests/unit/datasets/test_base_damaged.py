"""What a job would fail on, a check finds without opening an image: by the same words."""

import shutil

import pytest

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
