"""ImageNet-V2, ReaL's labels and SimCLR's lists: read beside a rendered ImageNet, from files that are damaged here."""

import json
import shutil

import pytest

from caebench.datasets.errors import DataError
from caebench.datasets.registry import DATASETS
from caebench.datasets.splits import Size

SIZE = Size(10, 40, 20)


@pytest.fixture
def roots(world_root, tmp_path):
    """What a site would name: ImageNet and its relatives, to be damaged."""
    world = shutil.copytree(world_root, tmp_path / "world")
    return {name: world / DATASETS[name].folder for name in DATASETS}


def opened(roots, name, split="val"):
    return DATASETS[name].open(roots, split, SIZE)


def problem_of(roots, name, split="val"):
    """What reading refuses, and a check reports as its first problem."""
    with pytest.raises(DataError) as caught:
        opened(roots, name, split)
    (problem, *_) = DATASETS[name].check(roots, SIZE, decode=False).problems
    assert f"{problem.where}: {problem.what}. {problem.do}" == str(caught.value)
    return str(caught.value)


def test_v2s_folders_are_numbers_and_no_text(roots):
    """As text, 10 would come before 2."""
    for number in (10, 11):
        (roots["imagenet_v2"] / str(number)).mkdir()
        (roots["imagenet_v2"] / str(number) / "a.jpeg").touch()
    entries = DATASETS["imagenet_v2"].open(roots, "val", Size(12, 40, 22)).entries
    assert [label for _, label in entries] == [*sorted(list(range(10)) * 2), 10, 11]
    assert entries[-2:] == [("10/a.jpeg", 10), ("11/a.jpeg", 11)]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [("rename", "folders 0 to 9: 1 missing: 7; 1 too many: n01440764"), ("empty", "without images")],
)
def test_what_is_no_v2_is_refused(roots, spoil, said):
    folder = roots["imagenet_v2"] / "7"
    if spoil == "rename":
        folder.rename(folder.with_name("n01440764"))
    else:
        for path in folder.iterdir():
            path.unlink()
    assert said in problem_of(roots, "imagenet_v2")


@pytest.mark.parametrize("name", ["imagenet_v2", "imagenet_real", "imagenet_1pct"])
def test_a_root_that_is_not_there_is_named_its_own_or_imagenets(roots, name):
    assert "wanted as the root of imagenet1k" in problem_of({**roots, "imagenet1k": roots["coco"] / "no"}, name)
    said = problem_of({**roots, name: roots[name].with_name("nowhere")}, name, DATASETS[name].own[0])
    assert f"wanted as the root of {name}" in said and DATASETS[name].source in said


def test_a_borrowed_split_is_imagenets(roots):
    train, val = (opened(roots, "imagenet1k", split) for split in ("train", "val"))
    assert opened(roots, "imagenet_v2", "train") == opened(roots, "imagenet_real", "train") == train
    assert opened(roots, "imagenet_10pct", "val") == val


def test_reals_labels_go_by_the_number_in_the_name(roots):
    labels = [[number % 10, 3] for number in range(20)]
    labels[4] = []
    roots["imagenet_real"].write_text(json.dumps(labels))
    found = opened(roots, "imagenet_real")
    assert len(found.entries) == 19 and not any("val_00000005" in path for path, _ in found.entries)
    assert found.accepted == tuple(tuple(labels[int(path[-13:-5]) - 1]) for path, _ in found.entries)


def test_another_label_is_another_fingerprint(roots):
    before = opened(roots, "imagenet_real").fingerprint
    labels = json.loads(roots["imagenet_real"].read_text())
    labels[0].append(7)
    roots["imagenet_real"].write_text(json.dumps(labels))
    assert opened(roots, "imagenet_real").fingerprint != before


@pytest.mark.parametrize("labels", [[[1]] * 10, [1] * 20, [[10]] * 20, {"a": 1}])
def test_what_is_no_real_is_refused(roots, labels):
    roots["imagenet_real"].write_text(json.dumps(labels))
    assert "20 lists of class numbers" in problem_of(roots, "imagenet_real")


def test_labels_for_no_image_are_refused(roots):
    roots["imagenet_real"].write_text(json.dumps([[]] * 20))
    assert "no image has a label" in problem_of(roots, "imagenet_real")
    roots["imagenet_real"].write_text("[")
    assert "not readable as JSON" in problem_of(roots, "imagenet_real")


def test_a_validation_image_without_its_number_is_refused(roots):
    path = min((roots["imagenet1k"] / "val").rglob("*.JPEG"))
    path.rename(path.with_name("cat.JPEG"))
    assert "restore the names" in problem_of(roots, "imagenet_real")


def test_a_list_names_training_images_in_its_order(roots):
    names = [path for path, _ in opened(roots, "imagenet1k", "train").entries]
    roots["imagenet_1pct"].write_text("".join(f"{name.rpartition('/')[2]}\n" for name in (names[9], names[5])))
    assert [path for path, _ in opened(roots, "imagenet_1pct", "train").entries] == [names[9], names[5]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n00000005_5.JPEG\nn01440764_6.JPEG\n", "names 'n01440764_6.JPEG' and 0 more"),
        ("n00000005_5.JPEG\nn00000005_5.JPEG\n", "twice"),
        ("", "empty"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(roots, text, said):
    roots["imagenet_1pct"].write_text(text)
    assert said in problem_of(roots, "imagenet_1pct", "train")


def test_a_list_that_was_cut_is_found_by_its_count(roots):
    roots["imagenet_10pct"].write_text("n00000005_5.JPEG\n")
    (problem,) = DATASETS["imagenet_10pct"].check(roots, SIZE._replace(train=4)).problems
    assert problem.what == "train has 1 images, expected 4: the smallest classes are n00000005 with 1"
