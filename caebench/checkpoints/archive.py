"""Zip archives of `torch.save`, checked by their names and numbers before anything is read into memory. No torch."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from caebench.files.memory import usable_memory
from caebench.files.visible import visible

DISTRUST = "Do not use it."
MAGIC = b"PK"
HEADER = 30  # bytes of an entry's header, without its name
MOST = 20  # bytes that a byte of the file may become: weights become two at most, zeros up to a thousand
PICKLE = "data.pkl"
OUTSIDE = r"/|\\|[A-Za-z]:[/\\]"  # an absolute name, on some system
OTHERS = {  # the end of an entry's name -> what the archive is, and what to do
    "constants.pkl": "a TorchScript module. Save its weights: torch.save(torch.jit.load(FILE).state_dict(), OTHER)",
    ".npy": "NumPy's .npz, as JAX code writes it. Convert it to a state dict, and save that with torch.save",
    ".weights.h5": "a Keras model. Convert it to a state dict, and save that with torch.save",
}


def check_archive(path: Path) -> None:
    """Check that an archive is complete, of `torch.save`, and claims no more than there is.

    Raises:
        ValueError: it is not.
    """
    try:
        with ZipFile(path) as archive:
            fault = _fault_of(archive, path.stat().st_size)
    except (BadZipFile, EOFError) as error:
        told = "begins as a zip archive, and its end is missing or damaged. The download stopped early? Fetch it again."
        raise ValueError(f"{path}: {told}") from error
    if fault:
        raise ValueError(f"{path}: {fault}")


def _fault_of(archive: ZipFile, size: int) -> str | None:
    entries = archive.infolist()
    checks = (_entry_faults(entries), _overlaps(entries, archive.start_dir), _claims(entries, size), _kinds(entries))
    return next(chain(*checks), None)


def _entry_faults(entries: list[ZipInfo]) -> Iterator[str]:
    """What is wrong with the entries one by one."""
    for entry in entries:
        shown = f"its entry '{visible(entry.filename, keep='')}'"
        if re.match(OUTSIDE, entry.filename) or ".." in entry.filename.split("/"):
            yield f"{shown} is not a name inside the archive. {DISTRUST}"
        if entry.flag_bits & 1:
            yield f"{shown} is encrypted. Give the file without a password."
        if entry.compress_type == ZIP_STORED and entry.file_size != entry.compress_size:
            yield f"{shown} claims {entry.file_size:,} bytes, and has {entry.compress_size:,}. {DISTRUST}"
    if len({entry.filename for entry in entries}) < len(entries):
        yield f"has several entries of one name. {DISTRUST}"


def _overlaps(entries: list[ZipInfo], end: int) -> Iterator[str]:
    """The entries that reach into the next, or into the directory at the end."""
    placed = sorted(entries, key=lambda entry: entry.header_offset)
    starts = [*(entry.header_offset for entry in placed[1:]), end]
    for entry, start in zip(placed, starts, strict=False):  # of an empty archive there is an end and no entry
        if entry.header_offset + HEADER + len(entry.filename) + entry.compress_size > start:
            yield f"its entry '{visible(entry.filename, keep='')}' overlaps what follows it. {DISTRUST}"


def _claims(entries: list[ZipInfo], size: int) -> Iterator[str]:
    """What is wrong with the bytes of all entries together."""
    total, memory = sum(entry.file_size for entry in entries), usable_memory()
    if total > MOST * size:
        yield f"its entries claim {total:,} bytes in a file of {size:,}. {DISTRUST}"
    if total > memory:
        yield f"its entries claim {total:,} bytes, and {memory:,} of memory may be used here. Use a larger one."


def _kinds(entries: list[ZipInfo]) -> Iterator[str]:
    """What an archive is that `torch.save` did not write."""
    names = [entry.filename for entry in entries]
    for ending, kind in OTHERS.items():
        if any(name.endswith(ending) for name in names):
            yield f"is {kind}."
    if not any(name.endswith(f"/{PICKLE}") for name in names):
        yield f"is a zip archive without {PICKLE}, so not of torch.save. Unpack it, and give the checkpoint in it."
