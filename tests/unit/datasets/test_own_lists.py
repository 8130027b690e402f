"""Lists of a user's images: what a line may be, and what is wrong with one."""

import pytest

from caebench.datasets.errors import DataError
from tests.own_sets import make_lists, own, picture


def entries_of(root, **fields):
    dataset, roots = own(root, "list", **fields)
    size = dataset.measure(roots).size
    return size, {split: dict(dataset.open(roots, split, size).entries) for split in ("train", "val")}


def test_each_line_is_a_path_with_spaces_and_a_label(tmp_path):
    size, found = entries_of(make_lists(tmp_path))
    assert size == (3, 12, 6)
    assert found["train"]["pictures/2 of 0.png"] == 2 and found["val"]["pictures/0 of 5.png"] == 0


NAMES = {"pictures/0 of 0.png": "red rose", "pictures/1 of 0.png": "ash", "pictures/2 of 0.png": "red rose"}
FORMS = {
    "tab": ("train.txt", "\t", ""),
    "tsv with a header": ("train.tsv", "\t", "image\tlabel\n"),
    "csv": ("train.csv", ",", ""),
    "csv with a header": ("train.csv", ",", "path,label\n"),
    "commas in a text file": ("train.txt", ",", "filename,class\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_names_are_numbered_by_name(tmp_path, form):
    name, mark, header = FORMS[form]
    more = {path.replace(" 0", " 1"): label for path, label in NAMES.items()}
    (tmp_path / name).write_text(header + "".join(f"{path}{mark}{label}\n" for path, label in NAMES.items()))
    (tmp_path / f"val{name[5:]}").write_text("".join(f"{path}{mark}{label}\n" for path, label in more.items()))
    size, found = entries_of(tmp_path)
    assert size == (2, 3, 3) and found["train"] == {path: int(name != "ash") for path, name in NAMES.items()}


def test_columns_of_a_csv_file_are_found_by_their_names_and_quotes_are_read(tmp_path):
    for name in ("train.csv", "val.csv"):
        (tmp_path / name).write_text(f'id,label,file\n1,"a, b",{name}1.png\n2,c,"{name}, 2.png"\n')
    size, found = entries_of(tmp_path)
    assert size == (2, 2, 2) and found["train"] == {"train.csv1.png": 0, "train.csv, 2.png": 1}


def test_numbers_keep_their_value_where_there_are_ten_and_more(tmp_path):
    for name in ("train.txt", "val.txt"):
        (tmp_path / name).write_text("".join(f"{name}{label}.png {label}\n" for label in range(12)))
    size, found = entries_of(tmp_path)
    assert size.num_classes == 12 and found["train"]["train.txt10.png"] == 10


def test_without_a_validation_list_a_share_is_held_out(tmp_path):
    size, found = entries_of(make_lists(tmp_path, val=None, num=10), val_share=0.2)
    assert size == (3, 24, 6) and not found["train"].keys() & found["val"].keys()


def test_a_site_may_name_the_lists(tmp_path):
    root = make_lists(tmp_path, "lists a.txt", "b.txt")
    assert entries_of(root, train="lists a.txt", val="b.txt")[0] == (3, 12, 6)


def test_the_fingerprint_tells_which_image_is_in_which_split(tmp_path):
    dataset, roots = own(make_lists(tmp_path), "list")
    before = dataset.measure(roots)
    assert dataset.check(roots, before.size).fingerprint == before.fingerprint
    train, val = tmp_path / "train.txt", tmp_path / "val.txt"
    lists = train.read_text().splitlines(), val.read_text().splitlines()
    train.write_text("\n".join([lists[1][0], *lists[0][1:]]))
    val.write_text("\n".join([lists[0][0], *lists[1][1:]]))
    assert dataset.measure(roots).fingerprint != before.fingerprint


def changed(name, old, new):
    def change(root):
        path = root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def changed_all(path):
    path.write_text(path.read_text().replace(".png 1\n", ".png 7\n"))


FAULTS = {
    "no list": (lambda root: (root / "train.txt").unlink(), "mine: none of train.txt, train.csv, train.tsv, training"),
    "an image twice": (
        changed("train.txt", "1 of 0.png 1", "0 of 0.png 1"),
        "mine/train.txt: names 'pictures/0 of 0.png' twice.",
    ),
    "no label": (
        changed("train.txt", "pictures/1 of 0.png 1", "b.png"),
        "mine/train.txt, line 2: 'b.png': no label, expected a path and a label, as in `images/a.jpg 3`.",
    ),
    "a gap": (
        lambda root: [changed_all(root / name) for name in ("train.txt", "val.txt")],
        "mine: no training image has label 1, though labels go up to 7. Number the classes from 0 without gaps",
    ),
    "another spelling": (changed("train.txt", "pictures/0", "./pictures/0"), "names './pictures/0 of 0.png', expected"),
    "a path above": (
        changed("val.txt", "pictures/0", "../pictures/0"),
        "names '../pictures/0 of 4.png', expected a pa",
    ),
    "in both lists": (
        changed("val.txt", "pictures/0 of 4", "pictures/0 of 0"),
        "mine: 'pictures/0 of 0.png' in both splits, for training and for validation. Remove it from one of them.",
    ),
    "an empty list": (lambda root: (root / "val.txt").write_text("\n"), "mine: no validation images. Add some, or"),
    "an empty training list": (lambda root: (root / "train.txt").write_text(""), "mine: no training images, expected"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(tmp_path, fault):
    damage, said = FAULTS[fault]
    root = make_lists(tmp_path / "mine")
    damage(root)
    dataset, roots = own(root, "list")
    with pytest.raises(DataError) as raised:
        dataset.measure(roots)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_quote_that_does_not_end_is_one_line(tmp_path):
    (tmp_path / "train.csv").write_text('a.png,0\n"b.png,1\n')
    dataset, roots = own(tmp_path, "list")
    with pytest.raises(
        DataError, match=r"train\.csv, line 2: not readable as CSV \(unexpected end of data\)\. Correct"
    ):
        dataset.measure(roots)


def test_one_class_is_refused(tmp_path):
    picture(tmp_path / "a.png")
    for name in ("train.txt", "val.txt"):
        (tmp_path / name).write_text("a.png 0\n")
    dataset, roots = own(tmp_path, "list")
    with pytest.raises(DataError, match=r"one class \(0\), expected at least two classes of training images"):
        dataset.measure(roots)


def test_a_check_finds_unknown_and_broken_files(tmp_path):
    root = make_lists(tmp_path)
    (root / "pictures/0 of 0.png").unlink()
    (root / "pictures/1 of 0.png").write_bytes(b"no image")
    dataset, roots = own(root, "list")
    size = dataset.measure(roots).size
    listed = [str(problem) for problem in dataset.check(roots, size, decode=False).problems]
    assert len(listed) == 1 and "0 of 0.png: no such file, though it is listed in the list of train" in listed[0]
    assert any("1 of 0.png: not readable as an image" in str(one) for one in dataset.check(roots, size).problems)
