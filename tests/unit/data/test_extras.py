"""ImageNet-V2, ReaL's labels and SimCLR's lists, read from files made here."""

import json

import pytest

from caebench.data.errors import DataError
from caebench.data.extras import NUM_TRAIN, SUBSETS, list_v2, read_real, read_subset

VAL = [(f"val/n01440764/ILSVRC2012_val_0000000{number}.JPEG", 0) for number in (3, 1, 2)]
TRAIN = [(f"train/n01440764/n01440764_{number}.JPEG", 0) for number in (5, 7, 9)]


@pytest.fixture
def v2(tmp_path):
    for number in range(1000):
        (tmp_path / "v2" / str(number)).mkdir(parents=True)
        (tmp_path / "v2" / str(number) / "a.jpeg").touch()
    return tmp_path / "v2"


def test_v2s_folders_are_numbers_and_no_text(v2):
    entries = list_v2(v2)
    assert len(entries) == 1000 and entries[2] == ("2/a.jpeg", 2) and entries[10] == ("10/a.jpeg", 10)


@pytest.mark.parametrize(
    ("spoil", "said"), [("rename", "1 too many or missing|2 too many"), ("empty", "without images")]
)
def test_what_is_no_v2_is_refused(v2, spoil, said):
    if spoil == "rename":
        (v2 / "7").rename(v2 / "n01440764")
    else:
        (v2 / "7" / "a.jpeg").unlink()
    with pytest.raises(DataError, match=said):
        list_v2(v2)
    with pytest.raises(DataError, match="no such folder"):
        list_v2(v2 / "nowhere")


def write_real(path, labels):
    path.write_text(json.dumps(labels))
    return path


def test_reals_labels_go_by_the_number_in_the_name(tmp_path):
    path = write_real(tmp_path / "real.json", [[1, 2], [], [7]] + [[0]] * 49_997)
    assert read_real(path, VAL) == [(7,), (1, 2), ()]


@pytest.mark.parametrize("labels", [[[1]] * 10, [1] * 50_000, [[1000]] * 50_000, {"a": 1}])
def test_what_is_no_real_is_refused(tmp_path, labels):
    with pytest.raises(DataError, match="50,000 lists of class numbers"):
        read_real(write_real(tmp_path / "real.json", labels), VAL)


def test_a_validation_image_without_its_number_is_refused(tmp_path):
    path = write_real(tmp_path / "real.json", [[1]] * 50_000)
    with pytest.raises(DataError, match="restore the names"):
        read_real(path, [("val/n01440764/cat.JPEG", 0)])
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_real(tmp_path / "nowhere.json", VAL)


def test_a_list_names_training_images(tmp_path):
    path = tmp_path / "1percent.txt"
    path.write_text("n01440764_9.JPEG\nn01440764_5.JPEG\n")
    assert read_subset(path, TRAIN, SUBSETS["1pct"]) == [2, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n01440764_5.JPEG\nn01440764_6.JPEG\n", "names 'n01440764_6.JPEG' and 0 more"),
        ("n01440764_5.JPEG\nn01440764_5.JPEG\n", "twice"),
        ("", "empty"),
        (None, "cannot be read"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path, text, said):
    path = tmp_path / "1percent.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_subset(path, TRAIN, SUBSETS["1pct"])


def test_a_list_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "1percent.txt"
    path.write_text("n01440764_5.JPEG\n")
    whole = [*TRAIN, *[("train/n/other.JPEG", 1)] * (NUM_TRAIN - len(TRAIN))]
    with pytest.raises(DataError, match="names 1 images, expected 12,811"):
        read_subset(path, whole, SUBSETS["1pct"])
