"""A Hugging Face folder of parquet files: what planning reads, what the data job unpacks, what is wrong with one."""

import sys

import pytest

from caebench.datasets.errors import DataError
from tests.own_sets import make_parquet, own

try:
    import pyarrow
    from pyarrow import parquet
except ImportError:
    pyarrow = None
needs_pyarrow = pytest.mark.skipif(pyarrow is None, reason="pyarrow, the extra `parquet`, is not installed")


def test_without_pyarrow_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    path.write_bytes(b"PAR1")
    dataset, roots = own(tmp_path, "parquet")
    with pytest.raises(DataError) as raised:
        dataset.measure(roots)
    said = "a parquet file, and pyarrow is not installed. Reading it needs pyarrow: `pip install 'caebench[parquet]'`"
    assert f"{path}: {said}" in str(raised.value)


def test_shards_that_are_not_there_are_missed_by_their_names(tmp_path):
    for number in (0, 2):
        (tmp_path / f"train-{number:05d}-of-00003.parquet").write_bytes(b"")
    dataset, roots = own(tmp_path, "parquet")
    with pytest.raises(DataError, match=r"2 files of `train`, expected 3 by their names\. Download the others"):
        dataset.measure(roots)


def test_a_folder_without_such_files_is_refused(tmp_path):
    dataset, roots = own(tmp_path, "parquet")
    with pytest.raises(
        DataError, match=r"no parquet file of `train`, expected train-\*\.parquet, training-\*\.parquet"
    ):
        dataset.measure(roots)


@needs_pyarrow
@pytest.mark.parametrize("columns", [{}, {"image": "img", "label": "fine_label"}])
def test_the_job_unpacks_the_bytes_unchanged_and_training_reads_them(tmp_path, columns):
    dataset, roots = own(make_parquet(tmp_path / "set", **columns), "parquet")
    found = dataset.measure(roots)
    assert found.size == (3, 12, 12)
    files = sorted((tmp_path / "set" / "data").iterdir())
    assert found.unpacked_bytes == sum(path.stat().st_size for path in files)
    seen = []
    dataset.unpack(roots["mine"], tmp_path / "new", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (24, 24)
    split = dataset.open({"mine": tmp_path / "new"}, "train", found.size)
    assert [label for _, label in split.entries] == sorted([0, 1, 2, 0, 1, 2] * 2)
    table = parquet.read_table(files[2], columns=[columns.get("image", "image")])  # test is before train
    packed = table.column(0).to_pylist()[4]["bytes"]
    assert (tmp_path / "new" / "train" / "00001" / "00002-00000004.jpg").read_bytes() == packed


@needs_pyarrow
def test_without_a_validation_split_a_share_is_held_out(tmp_path):
    dataset, roots = own(make_parquet(tmp_path, ("train",), 30), "parquet", val_share=0.2)
    assert dataset.measure(roots).size == (3, 24, 6)


@needs_pyarrow
def test_planning_reads_no_image(tmp_path):
    root = make_parquet(tmp_path)
    path = next((root / "data").iterdir())
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xd8\xff")
    content[place + 4 : place + 200] = bytes(196)
    path.write_bytes(content)
    dataset, roots = own(root, "parquet")
    size = dataset.measure(roots).size
    assert dataset.check(roots, size, decode=False).ok
    problems = [str(one) for one in dataset.check(roots, size).problems]
    assert len(problems) == 1 and f"{path}, row 0: not readable as an image" in problems[0]


@needs_pyarrow
def test_a_damaged_file_is_a_problem_and_the_others_are_read(tmp_path):
    root = make_parquet(tmp_path)
    path = min((root / "data").iterdir())
    write(path, [b"a" * 4000], [0])
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    dataset, roots = own(root, "parquet")
    problems = [str(one) for one in dataset.check(roots, dataset.measure(roots).size).problems]
    assert len(problems) == 1 and f"{path}: not readable as a parquet file (" in problems[0]


def write(path, images, labels, names=("image", "label")):
    columns = dict(zip(names, (images, labels), strict=True))
    parquet.write_table(pyarrow.table(columns), path)


FAULTS = {
    "columns": (
        lambda path: write(path, [b"a"], [0], ("picture", "label")),
        "columns picture, label, expected one of image, img. Rename the column, and write the files again.",
    ),
    "an unlabelled split": (
        lambda path: write(path, [b"a"], [-1]),
        "test-00000-of-00002.parquet, row 0: label -1, expected a number from 0 or a name. Name a split with labels",
    ),
    "no parquet file": (lambda path: path.write_bytes(b"PAR1"), "not readable as a parquet file ("),
    "a label beyond": (
        lambda path: write(path, [b"a"], [7]),
        "class '7' has validation images, and no training images",
    ),
}


@needs_pyarrow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(tmp_path, fault):
    damage, said = FAULTS[fault]
    root = make_parquet(tmp_path)
    damage(root / "data" / "test-00000-of-00002.parquet")
    dataset, roots = own(root, "parquet")
    with pytest.raises(DataError) as raised:
        dataset.measure(roots)
    assert said in str(raised.value) and "\n" not in str(raised.value)


@needs_pyarrow
def test_what_is_no_image_stops_the_job(tmp_path):
    root = make_parquet(tmp_path / "set")
    write(root / "data" / "test-00000-of-00002.parquet", [b"GIF89a", b"", None], [0, 1, 2])
    dataset, roots = own(root, "parquet")
    with pytest.raises(DataError, match=r"row 0: no JPEG, PNG, WebP, TIFF or BMP file\. Restore it"):
        dataset.unpack(root, tmp_path / "new", lambda done, total: None)
    assert len(dataset.check(roots, dataset.measure(roots).size).problems) == 3
