"""Zip archives whose numbers do not fit: refused before anything in them is read."""

import re
import struct
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch

from caebench.checkpoints import archive, load_encoder
from caebench.checkpoints.reading import read
from tests.unit.checkpoints.layouts import make, plain, write_archive

EMPTY = b"\x80\x02}."


def refused(path):
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: ") as error:
        read(path)
    return str(error.value).removeprefix(f"{path}: ")


def patch(path, number, **fields):
    """Change fields of an entry in the directory at the end of an archive."""
    data, at = bytearray(path.read_bytes()), 0
    for _ in range(number + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    for name, value in fields.items():
        struct.pack_into("<I", data, at + {"compressed": 20, "size": 24, "offset": 42}[name], value)
    path.write_bytes(data)


def tensors(key, count, size=None):
    """A pickle with one tensor of a size, whose storage has this key and count of float32."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00" + key + b"X\x03\x00\x00\x00cpu"
    numbers, sizes = (b"J" + struct.pack("<i", number) for number in (count, count if size is None else size))
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers + b"tQK\x00" + sizes + b"\x85K\x01\x85\x89}tR"
    return b"\x80\x02}X\x01\x00\x00\x00a" + tensor + b"s."


def test_an_archive_by_hand_is_read(tmp_path):
    path = write_archive(tmp_path / "x.pth", tensors(b"0", 3), {"data/0": np.ones(3, "f4").tobytes()}, ZIP_DEFLATED)
    assert torch.equal(read(path).entries["a"], torch.ones(3))


def test_an_archive_without_entries_is_none_of_torch(tmp_path):
    with ZipFile(tmp_path / "x.pth", "w"):
        pass
    assert refused(tmp_path / "x.pth").startswith("is a zip archive without data.pkl, so not of torch.save.")


OVERLONG = "one of its tensors claims another number of bytes than the file has. Do not use it."


@pytest.mark.parametrize("count", [2, 4, 2**31 - 1])
def test_a_storage_that_claims_another_size_than_its_entry_is_refused(tmp_path, count):
    path = write_archive(tmp_path / "x.pth", tensors(b"0", count), {"data/0": bytes(12)})
    assert refused(path) == OVERLONG


def test_a_tensor_that_claims_more_than_its_storage_is_refused(tmp_path):
    path = write_archive(tmp_path / "x.pth", tensors(b"0", 3, 10**9), {"data/0": bytes(12)})
    assert refused(path) == OVERLONG


@pytest.mark.parametrize("count", [b"M\x2d\x01", b"\x8a\x06" + (2**44).to_bytes(6, "little")])
def test_a_storage_that_claims_another_size_than_an_old_file_has_is_refused(tmp_path, count):
    torch.save({"a": torch.ones(300)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "x.pth").write_bytes((tmp_path / "x.pth").read_bytes().replace(b"M\x2c\x01", count))
    assert refused(tmp_path / "x.pth") == OVERLONG


def test_a_zip_bomb_is_refused_by_its_numbers(tmp_path):
    path = write_archive(tmp_path / "x.pth", EMPTY, {"data/0": bytes(10**6)}, ZIP_DEFLATED)
    said = refused(path)
    assert re.fullmatch(r"its entries claim 1,000,\d+ bytes in a file of [12],\d+\. Do not use it\.", said)


def test_an_archive_of_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "x.pth", EMPTY, {"data/0": bytes(1000)})
    monkeypatch.setattr(archive, "usable_memory", lambda: 999)
    assert refused(path) == "its entries claim 1,012 bytes, and 999 of memory may be used here. Use a larger one."


def test_a_plain_entry_that_claims_more_than_it_has_is_refused(tmp_path):
    path = write_archive(tmp_path / "x.pth", EMPTY, {"data/0": bytes(8)})
    patch(path, 3, size=4 * 10**9)
    assert refused(path) == "its entry 'archive/data/0' claims 4,000,000,000 bytes, and has 8. Do not use it."


def test_an_entry_that_overlaps_the_next_is_refused(tmp_path):
    path = write_archive(tmp_path / "x.pth", EMPTY, {"data/0": bytes(8), "data/1": bytes(8)})
    patch(path, 3, size=60, compressed=60)
    assert refused(path) == "its entry 'archive/data/0' overlaps what follows it. Do not use it."
    patch(path, 3, size=8, compressed=8)
    patch(path, 4, offset=0)
    assert "overlaps what follows it" in refused(path)


def test_an_entry_that_reaches_beyond_the_data_is_refused(tmp_path):
    path = write_archive(tmp_path / "x.pth", EMPTY, {"data/0": bytes(8)})
    patch(path, 3, size=10**6, compressed=10**6)
    assert refused(path) == "its entry 'archive/data/0' overlaps what follows it. Do not use it."


@pytest.mark.parametrize("name", ["/etc/x", "../x", "archive/../../x", "C:/x", "\\\\host\\x", "/\x1b[31m"])
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    path = write_archive(tmp_path / "x.pth", EMPTY)
    with ZipFile(path, "a") as file:
        file.writestr(name, b"x")
    shown = name.replace("\x1b", "\\x1b")
    assert refused(path) == f"its entry '{shown}' is not a name inside the archive. Do not use it."


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path):
    path = write_archive(tmp_path / "x.pth", EMPTY)
    with ZipFile(path, "a") as file:
        file.writestr("archive/data.pkl", EMPTY)
    assert refused(path) == "has several entries of one name. Do not use it."


def test_a_truncated_download_says_to_fetch_it_again(tmp_path):
    torch.save(plain(make(positions="learnt")), tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes((tmp_path / "x.pth").read_bytes()[:5000])
    said = "begins as a zip archive, and its end is missing or damaged. The download stopped early? Fetch it again."
    assert refused(tmp_path / "x.pth") == said


def test_archives_of_other_programs_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(2))
    assert refused(tmp_path / "x.npz").startswith("is NumPy's .npz, as JAX code writes it. Convert it")
    with ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("mae.pth", b"x")
    said = "is a zip archive without data.pkl, so not of torch.save. Unpack it, and give the checkpoint in it."
    assert refused(tmp_path / "x.zip") == said
    write_archive(tmp_path / "x.pt", EMPTY, {"constants.pkl": EMPTY})
    assert refused(tmp_path / "x.pt").startswith(
        "is a TorchScript module. Save its weights: torch.save(torch.jit.load("
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_what_torch_saves_passes(tmp_path, kind):
    found = torch.ones(3, 4).to(kind)
    torch.save(
        {"a": found, "empty": found[:0], "view": found[1:], "p": torch.nn.Parameter(torch.ones(2))}, tmp_path / "x"
    )
    assert read(tmp_path / "x").entries["view"].dtype == kind


def test_released_files_pass(tmp_path):
    torch.save({"model": plain(make(positions="learnt")), "optimizer": {"state": {0: {"step": 1}}}}, tmp_path / "x.pth")
    load_encoder(tmp_path / "x.pth", num_heads=3)
