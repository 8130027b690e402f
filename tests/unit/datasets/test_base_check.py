"""Checks: a sound data set passes, and each way of being broken gives one problem that names the place and the cure."""

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from caebench.datasets import coco
from caebench.datasets.errors import DataError
from caebench.datasets.imagenet1k import WNIDS_DIGEST, digest_of
from caebench.datasets.inspection import Inspection
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.datasets.splits import Entry, Size, fingerprint
from caebench.specs.world import World
from tests.pictures import tag

ROOTS = {name: known.folder for name, known in PUBLISHED.items()}
TOP_FOLDERS = {**ROOTS, "food101": "food-101"}
LISTED = ("imagenet1k", "food101", "clipart", "sketch")

Check = Callable[..., Inspection]


@pytest.fixture
def copied(world_root: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copy one layout of the world; returns the root as a site file would name it."""

    def copy(name: str) -> Path:
        shutil.copytree(world_root / TOP_FOLDERS[name], tmp_path / TOP_FOLDERS[name])
        return tmp_path / ROOTS[name]

    return copy


@pytest.fixture
def check_small(small_world: World) -> Check:
    def run(name: str, root: Path, **options) -> Inspection:
        return check(name, root, size_in(small_world, name), **options)

    return run


def size_in(world: World, name: str) -> Size:
    return DATASETS[name].rendered(world.amount(name))


def check(name: str, root: Path, size: Size | None = None, **options) -> Inspection:
    """A check of what lies below a rendered root, and of ImageNet in the same world where it is read too."""
    imagenet = root.parents[ROOTS[name].count("/")] / ROOTS["imagenet1k"]
    known = DATASETS[name]
    return known.check({"imagenet1k": imagenet, name: root}, size or known.published, **options)


def list_split(name: str, root: Path, split: str) -> list[Entry]:
    known = DATASETS[name]
    return known.open({name: root}, split, known.published).entries


def only_problem(report: Inspection):
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
    size = size_in(small_world, name)
    assert report.counts == {split: getattr(size, split) for split in DATASETS[name].own}
    assert len(report.fingerprint) == 16 and not report.notes


@pytest.mark.parametrize("name", ROOTS)
def test_published_counts_hold_unless_others_are_expected(name, world_root):
    problems = check(name, world_root / ROOTS[name], decode=False).problems
    published = PUBLISHED[name].published
    for split in DATASETS[name].own if name != "imagenet_v2" else ():  # which has too few folders to be read
        wanted = f"expected {getattr(published, split):,}"
        assert any(f"{split} has" in p.what and wanted in p.what for p in problems), problems
    classes = (f"expected {published.num_classes}", f"0 to {published.num_classes - 1}")
    has_no_list_of_classes = name in ("ade20k", "imagenet_real", "imagenet_1pct", "imagenet_10pct")
    assert any(said in p.what.replace(",", "") for p in problems for said in classes) or has_no_list_of_classes


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
    size = size_in(small_world, "ade20k")._replace(num_classes=150)
    (root / "objectInfo150.txt").write_text("Idx\tName\n" + "".join(f"{n}\tclass {n}\n" for n in range(1, 151)))
    problem = only_problem(check("ade20k", root, size))
    assert problem.where == str(victim) and "label 151" in problem.what and "150" in problem.what
    labels[0, 0] = 150
    Image.fromarray(labels).save(victim)
    assert check("ade20k", root, size).ok


def test_a_coloured_label_map_is_refused(copied, check_small):
    root = copied("ade20k")
    victim = min(root.glob("annotations/training/*.png"))
    Image.open(victim).convert("RGB").save(victim)
    problem = only_problem(check_small("ade20k", root))
    assert problem.where == str(victim) and "mode RGB" in problem.what


@pytest.mark.parametrize(
    ("name", "pattern", "sizes"),
    [("ade20k", "annotations/validation/*.png", ("64x64", "30x20")), ("coco", "train2017/*.jpg", ("30x20", "64x64"))],
)
def test_sizes_that_differ_are_told_apart(name, pattern, sizes, copied, check_small):
    root = copied(name)
    victim = min(root.glob(pattern))
    Image.open(victim).resize((30, 20), Image.Resampling.NEAREST).save(victim)
    problem = only_problem(check_small(name, root))
    picture = root / "images/validation" / f"{victim.stem}.jpg" if name == "ade20k" else victim
    assert problem.where == str(picture) and str(victim) in str(problem)
    assert problem.what.startswith(f"{sizes[0]} pixels, where") and problem.what.endswith(sizes[1])


@pytest.mark.parametrize(("name", "pattern"), [("ade20k", "images/training/*.jpg"), ("coco", "val2017/*.jpg")])
def test_a_picture_that_is_turned_against_its_annotation_is_named_with_its_tag(name, pattern, copied, check_small):
    """Stored upright and tagged; its label map, or the annotation's width and height, are of the turned picture."""
    root = copied(name)
    victim = min(root.glob(pattern))
    Image.open(victim).resize((64, 40)).save(victim)
    tag(victim, 6)
    if name == "ade20k":
        labels = root / "annotations/training" / f"{victim.stem}.png"
        Image.open(labels).resize((40, 64), Image.Resampling.NEAREST).save(labels)
        wanted = f"its label map {labels} has 40x64"
    else:
        image_id, path = int(victim.stem), root / "annotations/instances_val2017.json"
        edit_json(path, lambda content: _resize(content, image_id, width=40, height=64))
        wanted = "the annotations say 40x64"
    report = check_small(name, root)
    problem = only_problem(report)
    assert problem.where == str(victim)
    assert problem.what == f"64x40 pixels stored, with EXIF orientation 6, where {wanted}"
    assert "ADR 28" in problem.do and "write the picture again" in problem.do


def _resize(content: dict, image_id: int, **size: int) -> None:
    """Say another size of an image, and of nothing else: it has no objects any more."""
    (image,) = [one for one in content["images"] if one["id"] == image_id]
    image.update(size)
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != image_id]


@pytest.mark.parametrize("name", ["imagenet1k", "food101", "ade20k", "coco"])
def test_pictures_with_an_orientation_are_counted_and_sound(name, copied, check_small):
    root = copied(name)
    plain = check_small(name, root)
    victims = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:4]
    for victim, orientation in zip(victims, (1, 3, 6, 8), strict=True):
        tag(victim, orientation)
    report = check_small(name, root)
    assert report.ok and not plain.notes and report.fingerprint == plain.fingerprint
    assert report.notes == [
        "images with an EXIF orientation other than 1, which is ignored: pixels are read as stored (ADR 28): 3"
    ]


def test_a_mask_of_another_size_than_its_image_is_named(copied, check_small):
    root = copied("coco")
    path = root / "annotations" / "instances_val2017.json"
    counts = [10, 4, 64 * 32 - 14]
    edit_json(
        path,
        lambda content: content["annotations"][1].update(segmentation={"size": [64, 32], "counts": counts}),
    )
    problem = only_problem(check_small("coco", root))
    annotation_id = json.loads(path.read_text())["annotations"][1]["id"]
    assert problem.where == f"{path}, annotation {annotation_id}"
    assert problem.what == "run lengths of height and width [64, 32], but its image has [64, 64]"


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
        content["annotations"][1]["segmentation"] = {"size": [64, 64], "counts": "S:6j100000000000mW3"}

    edit_json(root / "annotations" / "instances_val2017.json", change)
    assert check_small("coco", root).ok


def test_an_unknown_category_is_named(copied, check_small):
    root = copied("coco")
    path = root / "annotations" / "instances_val2017.json"
    edit_json(path, lambda content: content["annotations"][0].update(category_id=10))
    assert "category_id 10" in only_problem(check_small("coco", root)).what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda them: them[0].update(name=them[1]["name"]), "2 categories of name {1}"),
        (lambda them: them[0].update(id=them[1]["id"]), "2 categories of id 2"),
        (lambda them: them[0].pop("name"), "a category without a number as id and a text as name"),
    ],
)
def test_categories_have_an_id_and_a_name_each(change, said, copied, check_small):
    root = copied("coco")
    path = root / "annotations" / "instances_val2017.json"
    names = [repr(one["name"]) for one in json.loads(path.read_text())["categories"]]
    edit_json(path, lambda content: change(content["categories"]))
    problem = only_problem(check_small("coco", root))
    assert problem.where == str(path) and said.format(*names) in problem.what


def test_another_order_of_the_categories_is_the_same_data_set(copied, check_small):
    root = copied("coco")
    train, val = (DATASETS["coco"].open({"coco": root}, split, Size(3, 6, 4)) for split in ("train", "val"))
    for split in ("train", "val"):
        path = root / "annotations" / f"instances_{split}2017.json"
        edit_json(path, lambda content: content["categories"].reverse())
    report = check_small("coco", root)
    assert report.ok, report.problems
    assert DATASETS["coco"].open({"coco": root}, "train", Size(3, 6, 4)) == train
    assert DATASETS["coco"].open({"coco": root}, "val", Size(3, 6, 4)) == val and train.classes == val.classes


def test_categories_that_differ_between_training_and_validation_are_named_by_both(copied, check_small):
    root = copied("coco")
    train, val = (root / "annotations" / f"instances_{split}2017.json" for split in ("train", "val"))
    names = {one["id"]: one["name"] for one in json.loads(val.read_text())["categories"]}

    def swap(content: dict) -> None:
        one, other, _ = content["categories"]
        one["name"], other["name"] = other["name"], one["name"]

    edit_json(val, swap)
    first, second = check_small("coco", root).problems
    assert first.where == second.where == str(val)
    assert first.what == f"category 1 is {names[2]!r}, and in {train} it is {names[1]!r}"
    assert second.what == f"category 2 is {names[1]!r}, and in {train} it is {names[2]!r}"
    with pytest.raises(DataError, match="category 1 is"):
        DATASETS["coco"].open({"coco": root}, "train", Size(3, 6, 4))


def test_categories_are_the_published_ones(copied, small_world):
    """COCO's 80, where there are 80."""
    assert len(coco.PUBLISHED) == 80 and max(coco.PUBLISHED) == 90
    root = copied("coco")
    size = size_in(small_world, "coco")._replace(num_classes=80)
    categories = [{"id": identity, "name": name} for identity, name in coco.PUBLISHED.items()]
    for split in ("train", "val"):
        path = root / "annotations" / f"instances_{split}2017.json"
        edit_json(path, lambda content: content.update(categories=categories[::-1]))
    assert check("coco", root, size).ok
    categories[5]["name"] = "omnibus"
    edit_json(path, lambda content: content.update(categories=categories))
    first, second = check("coco", root, size).problems
    assert first.what == "category 6 is 'omnibus', and in COCO it is 'bus'"
    assert second.what.startswith("category 6 is 'omnibus', and in ") and second.what.endswith("it is 'bus'")


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


def test_two_classes_of_one_label_are_named(copied, check_small):
    root = copied("clipart")
    for name in ("clipart_train.txt", "clipart_test.txt"):
        lines = (root / name).read_text().splitlines()
        (root / name).write_text("".join(f"{line.removesuffix(' 4')}{' 3' * line.endswith(' 4')}\n" for line in lines))
    report = check_small("clipart", root)
    first, *_ = report.problems
    three, four = sorted(path.name for path in (root / "clipart").iterdir())[3:5]
    assert first.where == str(root / "clipart_train.txt")
    assert f"label 3 of clipart/{four}/" in first.what and first.what.endswith(f"which class {three!r} has, too")


@pytest.mark.parametrize(("name", "train", "test"), [("clipart", "clipart_train.txt", "clipart_test.txt")])
def test_another_order_of_a_list_is_the_same_data_set(name, train, test, copied, check_small):
    root = copied(name)
    before, entries = check_small(name, root), {split: set(list_split(name, root, split)) for split in ("train", "val")}
    (root / test).write_text("".join(f"{line}\n" for line in reversed((root / test).read_text().splitlines())))
    assert check_small(name, root).ok and check_small(name, root).fingerprint == before.fingerprint
    assert {split: set(list_split(name, root, split)) for split in ("train", "val")} == entries


def test_imagenets_class_folders_are_wordnet_ids(copied, check_small):
    """Sorted as text, folders 0 to 999 are in another order than ImageNet-V2's numbers and ReaL's labels."""
    root = copied("imagenet1k")
    for split in ("train", "val"):
        (root / split / "n00000003").rename(root / split / "3")
    problem = only_problem(check_small("imagenet1k", root))
    assert problem.where == str(root) and "class folder '3', expected n and eight digits" in problem.what
    assert "WordNet id" in problem.do


def test_imagenets_thousand_classes_are_the_published_ones(tmp_path):
    published = files("timm.data._info").joinpath("imagenet_synsets.txt").read_text().split()
    assert digest_of(published) == WNIDS_DIGEST and digest_of(reversed(published)) == WNIDS_DIGEST

    def whats(names: list[str]) -> list[str]:
        for name in names:
            for split in ("train", "val"):
                (tmp_path / split / name).mkdir(parents=True, exist_ok=True)
                (tmp_path / split / name / f"{split}_{name}.JPEG").write_text("unread")
        return [
            problem.what for problem in check("imagenet1k", tmp_path, Size(1000, 1000, 1000), decode=False).problems
        ]

    others = [*published[:-1], "n99999999"]
    lost = published[-1]
    assert whats(others) == [f"not the class folders of ImageNet-1k: 1 missing: {lost}; 1 too many: n99999999"]
    for split in ("train", "val"):
        shutil.rmtree(tmp_path / split / "n99999999")
    assert f"not the class folders of ImageNet-1k: 1 missing: {lost}" in whats([])
    assert whats(published) == []


def test_ade20ks_classes_go_by_their_label_not_their_line(copied, check_small):
    root = copied("ade20k")
    path = root / "objectInfo150.txt"
    before = DATASETS["ade20k"].open({"ade20k": root}, "val", Size(5, 6, 4)).classes
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(lines)]) + "\n")
    assert check_small("ade20k", root).ok
    assert DATASETS["ade20k"].open({"ade20k": root}, "val", Size(5, 6, 4)).classes == before
    path.write_text("\n".join([head, *lines[:-1], lines[0]]) + "\n")
    with pytest.raises(DataError, match="no class of label 5, expected 1 to 5 as Idx"):
        DATASETS["ade20k"].open({"ade20k": root}, "val", Size(5, 6, 4))


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
    assert caught.value.where == str(tmp_path / "absent") and PUBLISHED[name].source in caught.value.do


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
