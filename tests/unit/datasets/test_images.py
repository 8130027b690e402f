"""Lists of images: each image once, under one name, in one of the lists."""

import json
import shutil

import pytest
from PIL import Image

from caebench.datasets.errors import DataError
from caebench.datasets.images import images_below
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.datasets.splits import Size

CLIPART, FOOD = "clipart_train.txt", "food-101/meta/train.json"


@pytest.fixture
def domainnet(world_root, tmp_path):
    return shutil.copytree(world_root / "domainnet", tmp_path / "domainnet")


def refusal(root, name, split="train"):
    """What a job says, which a check says, too."""
    known = PUBLISHED[name]
    with pytest.raises(DataError) as caught:
        known.open({name: root}, split, known.published)
    assert str(caught.value) in map(str, known.check({name: root}, known.published, decode=False).problems)
    return caught.value


def change_first(path, change):
    """Replace the first line of a list by others."""
    first, *lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in [*change(first), *lines]))
    return first.rpartition(" ")[0]


def test_a_line_that_stands_in_a_list_twice_is_refused(domainnet):
    path = change_first(domainnet / CLIPART, lambda line: [line, line])
    error = refusal(domainnet, "clipart")
    assert error.where == str(domainnet / CLIPART) and error.what == f"names {path!r} twice"
    assert error.do == f"Restore the list. {PUBLISHED['clipart'].source}"


@pytest.mark.parametrize(
    ("old", "new"), [("clipart", "./clipart"), ("clipart", "clipart/../clipart"), ("clipart", "/clipart"), ("/", "//")]
)
def test_another_spelling_of_a_path_is_refused(old, new, domainnet):
    """Or an image would be trained on twice, or tested on as well."""
    path = change_first(domainnet / CLIPART, lambda line: [line.replace(old, new, 1)])
    what = f"names {path.replace(old, new, 1)!r}, expected a path below the root such as {path!r}"
    assert refusal(domainnet, "clipart").what == what


def test_an_image_in_both_lists_under_two_spellings_is_refused(domainnet):
    train, test = (domainnet / f"clipart_{split}.txt" for split in ("train", "test"))
    line = test.read_text().splitlines()[0]
    change_first(train, lambda first: [f"./{line}"])
    assert "names './clipart/" in refusal(domainnet, "clipart").what


def test_windows_line_ends_and_its_mark_are_read(domainnet):
    known, path = PUBLISHED["clipart"], domainnet / CLIPART
    before = known.open({"clipart": domainnet}, "train", known.published)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert known.open({"clipart": domainnet}, "train", known.published) == before


@pytest.mark.parametrize("line", ["clipart/one/a.jpg", "clipart/one/a.jpg b", "clipart/a.jpg 1", "sketch/one/a.jpg 1"])
def test_a_line_without_a_label_or_of_another_domain_is_named(line, domainnet):
    change_first(domainnet / CLIPART, lambda first: [first, line])
    error = refusal(domainnet, "clipart")
    assert error.where == f"{domainnet / CLIPART}, line 2"
    assert error.what == f"{line!r}, expected 'clipart/<class>/<file> <label>'"


def test_food101s_list_names_each_image_once(world_root, tmp_path):
    shutil.copytree(world_root / "food-101" / "meta", tmp_path / "food-101" / "meta")
    path = tmp_path / FOOD
    listed = json.loads(path.read_text())
    first, *_ = next(iter(listed.values()))
    path.write_text(json.dumps({**listed, first.split("/")[0]: [first, first]}))
    assert refusal(tmp_path, "food101").what == f"names 'food-101/images/{first}.jpg' twice"
    assert DATASETS["food101"].open({"food101": tmp_path}, "val", Size(20, 40, 20)).entries


def test_a_link_to_a_folder_above_is_not_followed(tmp_path):
    """Each such link would double what is found, and twenty would take for ever."""
    folder = tmp_path / "n00000001"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "a.jpg")
    for number in range(20):
        (folder / f"up{number}").symlink_to("..")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (4, 4)).save(elsewhere / "b.jpg")
    (folder / "more").symlink_to(elsewhere)
    assert [path.name for path in images_below(folder)] == ["a.jpg", "b.jpg"]


LINES = {
    "NUL": "clipart/one/a\0.jpg 1",
    "digits": f"clipart/one/a.jpg {'1' * 5_000}",
    "long": f"clipart/one/{'x' * 10**6}",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_line_that_no_file_or_label_can_be_is_named_in_a_line(tmp_path, line):
    (tmp_path / "clipart_train.txt").write_text(line, encoding="utf8")
    with pytest.raises(
        DataError, match=r"clipart_train\.txt, line 1: .*expected 'clipart/<class>/<file> <label"
    ) as caught:
        DATASETS["clipart"].read({"clipart": tmp_path}, "train", DATASETS["clipart"].published)
    assert len(str(caught.value)) < 1_000 and "\0" not in str(caught.value)
