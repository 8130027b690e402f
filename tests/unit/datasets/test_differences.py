"""A wrong count says where."""

import shutil
from collections import Counter

import pytest

from caebench.datasets.differences import classes_of_odd_size, differing
from caebench.datasets.registry import PUBLISHED


@pytest.mark.parametrize(
    ("sizes", "wanted", "said"),
    [
        ({"a": 4, "b": 3, "c": 5, "d": 4}, 16, "b has 3, c has 5, where each class has 4"),
        ({"a": 4, "b": 4, "c": 4, "d": 4}, 20, "the smallest classes are a with 4, b with 4, c with 4, ..."),
        ({"a": 3, "b": 2, "c": 9, "d": 4}, 19, "the smallest classes are b with 2, a with 3, d with 4, ..."),
        ({"a": 3, "b": 2, "c": 9, "d": 4}, 17, "the largest classes are c with 9, d with 4, a with 3, ..."),
        ({"a": 4, "b": 4, "c": 4}, 16, ""),
    ],
)
def test_the_classes_that_a_count_differs_by_are_named(sizes, wanted, said):
    """All classes have as many images, unless the number cannot be divided or most classes have another."""
    assert classes_of_odd_size(Counter(sizes), wanted, 4) == said


def test_names_that_are_missing_or_too_many_are_told_apart():
    wanted = set(map(str, range(10)))
    assert differing({"x"}, wanted) == "10 missing: 0, 1, 2, ...; 1 too many: x"
    assert differing(wanted - {"3"}, wanted) == "1 missing: 3" and differing(wanted, wanted) == ""


def test_a_check_names_the_class_folders_that_lack_images(world_root, tmp_path, small_world):
    root, known = shutil.copytree(world_root / "imagenet", tmp_path / "imagenet"), PUBLISHED["imagenet1k"]
    min((root / "train" / "n00000003").iterdir()).unlink()
    shutil.copy(min((root / "val" / "n00000004").iterdir()), root / "val" / "n00000004" / "again.JPEG")
    problems = known.check({"imagenet1k": root}, known.rendered(small_world.amount("imagenet1k"))).problems
    assert [problem.what for problem in problems] == [
        "train has 39 images, expected 40: n00000003 has 3, where each class has 4",
        "val has 21 images, expected 20: n00000004 has 3, where each class has 2",
    ]
