"""Checks: a sound data set passes, and each way of being broken gives one problem that names the place and the cure."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from caebench.config.data import World
from caebench.data.check import Report, check, fingerprint, list_split
from caebench.data.errors import DataError
from caebench.data.facts import PUBLISHED, embedded_counts

ROOTS = {
    "imagenet1k": "imagenet",
    "food101": ".",
    "clipart": "domainnet",
    "sketch": "domainnet",
    "ade20k": "ADEChallengeData2016",
    "coco": "coco",
}
TOP_FOLDERS = {**ROOTS, "food101": "food-101"}
LISTED = ("imagenet1k", "food101", "clipart", "sketch")

Check = Callable[..., Report]


@pytest.fixture
def copied(world_root: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copy one layout of the world; returns the root as a site file would name it."""

    def copy(name: str) -> Path:
        shutil.copytree(world_root / TOP_FOLDERS[name], tmp_path / TOP_FOLDERS[name])
        return tmp_path / ROOTS[name]

    return copy


@pytest.fixture
def check_small(small_world: World) -> Check:
    def run(name: str, root: Path, **options) -> Report:
        return check(name, root, expected=embedded_counts(name, small_world), **options)

    return run


def only_problem(report: Report):
    assert not report.ok
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", ROOTS)
def test_a_rendered_world_is_sound(name, world_root, small_world, check_small):
    report = check_small(name, world_root / ROOTS[name])
    assert report.ok, report.problems
    expected = embedded_counts(name, small_world)
    assert report.counts == {"train": expected["train"], "val": expected["val"]}
    assert len(report.fingerprint) == 16 and not report.notes


@pytest.mark.parametrize("name", ROOTS)
def test_published_counts_hold_unless_others_are_expected(name, world_root):
    problems = check(name, world_root / ROOTS[name], decode=False).problems
    for split, wanted in (("train", PUBLISHED[name].train), ("val", PUBLISHED[name].val)):
        assert any(f"{split} has" in p.what and f"expected {wanted:,}" in p.what for p in problems), problems
    assert any(f"expected {PUBLISHED[name].classes}" in p.what.replace(",", "") for p in problems) or name == "ade20k"


@pytest.mark.parametrize("name", ROOTS)
def test_a_missing_root_names_the_site_file_and_the_source(name, tmp_path, check_small):
    problem = only_problem(check_small(name, tmp_path / "absent"))
    assert str(tmp_path / "absent") in problem.where
    assert "site file" in problem.do and PUBLISHED[name].source in problem.do


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("imagenet1k", "val"),
        ("food101", "food-101/meta/test.json"),
        ("clipart", "clipart_test.txt"),
        ("sketch", "sketch_train.txt"),
        ("ade20k", "annotations/validation"),
        ("coco", "annotations/instances_val2017.json"),
    ],
)
def test_a_missing_split_is_named(name, lost, copied, check_small):
    root = copied(name)
    shutil.rmtree(root / lost) if (root / lost).is_dir() else (root / lost).unlink()
    report = check_small(name, root)
    problem = only_problem(report)
    assert problem.where == str(root / lost)
    assert PUBLISHED[name].source in problem.do
    assert len(report.counts) == 1


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("imagenet1k", "train/*/*.JPEG"),
        ("food101", "food-101/images/*/*.jpg"),
        ("clipart", "clipart/*/*.jpg"),
        ("ade20k", "images/training/*.jpg"),
        ("ade20k", "annotations/training/*.png"),
        ("coco", "val2017/*.jpg"),
    ],
)
def test_a_truncated_image_is_found_by_decoding_and_only_so(name, pattern, copied, check_small):
    root = copied(name)
    victim = sorted(root.glob(pattern))[3]
    victim.write_bytes(victim.read_bytes()[:-60])
    assert check_small(name, root, decode=False).ok
    problem = only_problem(check_small(name, root))
    assert problem.where == str(victim) and "not readable" in problem.what


def test_an_image_of_no_known_format_is_named(copied, check_small):
    root = copied("imagenet1k")
    victim = min(root.glob("val/*/*.JPEG"))
    victim.write_text("<html>404</html>")
    assert only_problem(check_small("imagenet1k", root)).where == str(victim)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("food101", "food-101/images/*/*.jpg"),
        ("sketch", "sketch/*/*.jpg"),
        ("ade20k", "images/training/*.jpg"),
        ("ade20k", "annotations/validation/*.png"),
        ("coco", "train2017/*.jpg"),
    ],
)
@pytest.mark.parametrize("decode", [True, False])
def test_a_listed_file_that_is_missing_is_named(name, pattern, decode, copied, check_small):
    root = copied(name)
    victim = sorted(root.glob(pattern))[1]
    victim.unlink()
    problem = only_problem(check_small(name, root, decode=decode))
    assert problem.where == str(victim) and "no such file" in problem.what


def test_a_lost_image_of_a_folder_set_shows_in_its_count(copied, check_small):
    root = copied("imagenet1k")
    min(root.glob("train/*/*.JPEG")).unlink()
    problem = only_problem(check_small("imagenet1k", root))
    assert "train has 39 images, expected 40" in problem.what and "image-net.org" in problem.do


def test_a_flat_val_folder_is_told_how_to_be_sorted(copied, check_small):
    root = copied("imagenet1k")
    for path in sorted(root.glob("val/*/*.JPEG")):
        path.rename(root / "val" / path.name)
    for folder in sorted((root / "val").glob("n*")):
        folder.rmdir()
    problem = only_problem(check_small("imagenet1k", root))
    assert problem.where == str(root / "val") and "20 images" in problem.what
    assert "val/<wnid>/" in problem.do and "ILSVRC2012_validation_ground_truth.txt" in problem.do


def test_a_class_that_one_split_lacks_is_named(copied, check_small):
    root = copied("imagenet1k")
    shutil.rmtree(root / "val" / "n00000004")
    whats = [problem.what for problem in check_small("imagenet1k", root).problems]
    assert len(whats) == 2 and "val has 18 images" in whats[0] and "'n00000004' in val" in whats[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda root: (root / "images/training/abbey").mkdir(),
        lambda root: (root / "ADE20K_2021_17_01").mkdir(),
        lambda root: (root / "images/validation/ADE_val_00000001_seg.png").touch(),
    ],
)
def test_the_full_ade20k_is_recognised(make, copied, check_small):
    root = copied("ade20k")
    make(root)
    problem = only_problem(check_small("ade20k", root))
    assert "full ADE20K" in problem.what and "ADEChallengeData2016.zip" in problem.do


def test_the_folder_above_is_told_from_the_root(copied, check_small):
    for name, inner in (("ade20k", "ADEChallengeData2016"), ("coco", "coco")):
        problem = only_problem(check_small(name, copied(name).parent))
        assert inner in problem.do
    root = copied("food101")
    problem = only_problem(check_small("food101", root / "food-101"))
    assert str(root) in problem.do


def test_a_label_over_150_is_out_of_range(copied, small_world):
    root = copied("ade20k")
    victim = min(root.glob("annotations/training/*.png"))
    labels = np.array(Image.open(victim))
    labels[0, 0] = 151
    Image.fromarray(labels).save(victim)
    expected = {**embedded_counts("ade20k", small_world), "classes": 150}
    problem = only_problem(check("ade20k", root, expected=expected))
    assert problem.where == str(victim) and "label 151" in problem.what and "150" in problem.what
    labels[0, 0] = 150
    Image.fromarray(labels).save(victim)
    assert check("ade20k", root, expected=expected).ok


def test_a_coloured_label_map_is_refused(copied, check_small):
    root = copied("ade20k")
    victim = min(root.glob("annotations/training/*.png"))
    Image.open(victim).convert("RGB").save(victim)
    problem = only_problem(check_small("ade20k", root))
    assert problem.where == str(victim) and "mode RGB" in problem.what


@pytest.mark.parametrize(("name", "pattern"), [("ade20k", "annotations/validation/*.png"), ("coco", "train2017/*.jpg")])
def test_sizes_that_differ_are_told_apart(name, pattern, copied, check_small):
    root = copied(name)
    victim = min(root.glob(pattern))
    Image.open(victim).resize((30, 20), Image.Resampling.NEAREST).save(victim)
    problem = only_problem(check_small(name, root))
    assert problem.where == str(victim) and "30x20" in problem.what and "64x64" in problem.what


@pytest.mark.parametrize(
    "segmentation", [None, [], [[1, 2, 3, 4]], {"size": [64, 64], "counts": []}, {"size": [64, 64], "counts": [4096]}]
)
def test_an_annotation_without_a_mask_is_named(segmentation, copied, check_small):
    root = copied("coco")
    path = root / "annotations" / "instances_train2017.json"
    edit_json(path, lambda content: content["annotations"][2].update(segmentation=segmentation))
    problem = only_problem(check_small("coco", root))
    annotation_id = json.loads(path.read_text())["annotations"][2]["id"]
    assert str(path) in problem.where and str(annotation_id) in problem.where and "no mask" in problem.what


def test_polygons_and_compressed_run_lengths_are_masks(copied, check_small):
    root = copied("coco")

    def change(content: dict) -> None:
        content["annotations"][0]["segmentation"] = [[1, 1, 5, 1, 5, 5]]
        content["annotations"][1]["segmentation"] = {"size": [64, 64], "counts": "abc"}

    edit_json(root / "annotations" / "instances_val2017.json", change)
    assert check_small("coco", root).ok


def test_an_unknown_category_is_named(copied, check_small):
    root = copied("coco")
    path = root / "annotations" / "instances_val2017.json"
    edit_json(path, lambda content: content["annotations"][0].update(category_id=10))
    assert "category_id 10" in only_problem(check_small("coco", root)).what


def test_a_half_downloaded_annotation_file_is_named(copied, check_small):
    root = copied("coco")
    path = root / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text()[:1000])
    problem = only_problem(check_small("coco", root))
    assert problem.where == str(path) and "JSON" in problem.what


def test_a_label_beyond_the_classes_is_named(copied, check_small):
    root = copied("clipart")
    listing = root / "clipart_train.txt"
    lines = listing.read_text().splitlines()
    lines[0] = lines[0].rsplit(" ", 1)[0] + " 10"
    listing.write_text("\n".join(lines) + "\n")
    whats = [problem.what for problem in check_small("clipart", root).problems]
    assert any("label 10" in what and "expected 0 to 9" in what for what in whats)


def test_an_image_for_training_and_testing_is_named(copied, check_small):
    root = copied("sketch")
    train, test = root / "sketch_train.txt", root / "sketch_test.txt"
    shared = train.read_text().splitlines()[0]
    test.write_text("\n".join([shared, *test.read_text().splitlines()[1:]]) + "\n")
    problem = only_problem(check_small("sketch", root))
    assert shared.split()[0] in problem.where and "testing" in problem.what


def test_repeated_problems_are_capped_and_counted(copied, check_small):
    root = copied("food101")
    victims = sorted(root.glob("food-101/images/*/*.jpg"))[:9]
    for path in victims:
        path.unlink()
    problems = check_small("food101", root).problems
    assert len(problems) == 6
    assert "4 more" in problems[-1].what and "9 in all" in problems[-1].what


def test_grayscale_and_cmyk_are_notes_not_problems(copied, check_small):
    root = copied("imagenet1k")
    grey, cmyk = sorted(root.glob("train/*/*.JPEG"))[:2]
    Image.open(grey).convert("L").save(grey)
    Image.open(cmyk).convert("CMYK").save(cmyk)
    report = check_small("imagenet1k", root)
    assert report.ok
    assert [("CMYK" in note, "grayscale" in note, note.endswith(": 1")) for note in report.notes] == [
        (True, False, True),
        (False, True, True),
    ]


def test_progress_ends_at_the_number_of_images(world_root, check_small):
    seen: list[tuple[int, int]] = []
    check_small("imagenet1k", world_root / "imagenet", progress=lambda *step: seen.append(step))
    assert seen == [(done, 60) for done in range(1, 61)]


def test_unknown_names_and_counts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="imagenet1k, ade20k"):
        check("imagenet", tmp_path)
    with pytest.raises(ValueError, match="train, val, classes"):
        check("coco", tmp_path, expected={"test": 1})


@pytest.mark.parametrize("split", ["train", "val"])
def test_imagenet_lists_like_image_folder(world_root, split):
    root = world_root / "imagenet"
    samples = torchvision.datasets.ImageFolder(root / split).samples
    assert [(str(root / path), label) for path, label in list_split("imagenet1k", root, split)] == samples


def test_nested_folders_and_foreign_files_list_like_image_folder(copied):
    root = copied("imagenet1k")
    first = root / "train" / "n00000000"
    image = min(first.glob("*.JPEG"))
    for number, folder in enumerate(("z/a", "b", "z", "m/q", "d", "Y", "m", "a", "m/c")):
        (first / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, first / folder / f"{number}.PNG")
    (first / "notes.txt").touch()
    (root / "train" / "README").touch()
    samples = torchvision.datasets.ImageFolder(root / "train").samples
    assert [(str(root / path), label) for path, label in list_split("imagenet1k", root, "train")] == samples


@pytest.mark.parametrize(("split", "theirs"), [("train", "train"), ("val", "test")])
def test_food101_lists_like_torchvision(copied, split, theirs):
    root = copied("food101")
    meta = root / "food-101" / "meta" / f"{theirs}.json"
    meta.write_text(json.dumps(dict(reversed(json.loads(meta.read_text()).items()))))  # order must not set the labels
    food = torchvision.datasets.Food101(root, split=split.replace("val", "test"), download=False)
    wanted = list(zip(map(str, food._image_files), food._labels, strict=True))
    assert [(str(root / path), label) for path, label in list_split("food101", root, split)] == wanted


def test_domainnet_lists_in_the_order_of_its_file(world_root):
    root = world_root / "domainnet"
    lines = (root / "clipart_test.txt").read_text().splitlines()
    assert [f"{path} {label}" for path, label in list_split("clipart", root, "val")] == lines


@pytest.mark.parametrize("name", LISTED)
def test_listing_a_missing_root_says_where_what_and_what_to_do(name, tmp_path):
    with pytest.raises(DataError, match="no such folder") as caught:
        list_split(name, tmp_path / "absent", "train")
    assert caught.value.where == tmp_path / "absent" and PUBLISHED[name].source in caught.value.do


def test_listing_an_empty_list_or_folder_fails(copied):
    root = copied("clipart")
    (root / "clipart_train.txt").write_text("")
    with pytest.raises(DataError, match="empty list"):
        list_split("clipart", root, "train")
    (root / "clipart_train.txt").write_text("clipart/one/a.jpg\n")
    with pytest.raises(DataError, match="line 1"):
        list_split("clipart", root, "train")
    root = copied("imagenet1k")
    for path in (root / "train" / "n00000003").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="n00000003"):
        list_split("imagenet1k", root, "train")


def test_a_fingerprint_knows_files_and_labels_but_not_their_order():
    entries = [("a/b.jpg", 0), ("a/c.jpg", 1)]
    assert fingerprint(entries) == fingerprint(reversed(entries))
    assert len(fingerprint(entries)) == 16
    assert len({fingerprint(entries), fingerprint([("a/b.jpg", 1), ("a/c.jpg", 1)]), fingerprint(entries[:1])}) == 3
