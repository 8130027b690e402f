"""What a data set is read as: lists of files and labels, or of pictures with label maps or annotations."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
Entry = tuple[str, int]  # path relative to the root, in posix form; label


class Size(NamedTuple):
    """Images and classes of a data set."""

    num_classes: int
    train: int
    val: int


class Measured(NamedTuple):
    """What a folder has of a data set, whatever is published."""

    size: Size
    fingerprint: str  # of the lists of both splits
    unpacked_bytes: int = 0  # what its data job writes, of a format that is unpacked


class Amount(NamedTuple):
    """How much of a data set is rendered, and how large."""

    seed: int
    pixels: int  # of a picture's side
    train: int
    val: int


@dataclass(frozen=True)
class ImageSplit:
    """One split: (path below the root, label) in the order that torchvision's loaders have."""

    root: Path
    entries: list[Entry]
    fingerprint: str
    accepted: tuple[tuple[int, ...], ...] = ()  # every label that is right, where an image may have several

    @property
    def marks(self) -> list[tuple[str, int | str]]:
        """What its fingerprint is of."""
        if not self.accepted:
            return list(self.entries)
        return [(path, str(labels)) for (path, _), labels in zip(self.entries, self.accepted, strict=True)]


@dataclass(frozen=True)
class SceneSplit:
    """One split of pictures with labels below the image; paths are relative to the root."""

    root: Path
    images: str  # a folder
    labels: str  # a folder of label maps, or an annotation file
    classes: tuple[str, ...]
    fingerprint: str
    pairs: tuple[tuple[str, str], ...] = ()  # each picture and its label map; empty: all that the two folders have
    zero_is_other: bool = True  # 0 in a label map is ignored, and classes are counted from 1: as in ADE20K


def fingerprint(entries: Iterable[tuple[str, int | str]]) -> str:
    """Which files with which labels: equal for equal lists, whatever their order and wherever they lie."""
    digest = hashlib.sha256()
    for line in sorted(f"{path} {label}\n" for path, label in entries):
        digest.update(line.encode("utf8", "surrogateescape"))
    return digest.hexdigest()[:16]
