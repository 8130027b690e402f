"""How a user's folder is laid out: its format, and what is trained and what is tested on (ADR 41)."""

from typing import NamedTuple

from caebench.datasets.splits import Split

TRAIN = ("train", "training")  # names of a split's folder or list, the first that is there
VAL = ("val", "valid", "validation", "test", "testing")
USUAL: dict[Split, tuple[str, ...]] = {"train": TRAIN, "val": VAL}
VAL_SHARE = 0.2  # of a folder without splits


class Layout(NamedTuple):
    """What a site file says of a folder."""

    format: str
    train: str | None = None  # the name of a split; None: the first usual one that is there
    val: str | None = None
    val_share: float = VAL_SHARE  # of each class, where there is no validation split
    num_classes: int | None = None  # of label maps whose classes no file names

    def named(self, split: Split) -> str | None:
        """The name that the site file gives a split."""
        return self.train if split == "train" else self.val

    def candidates(self, split: Split) -> tuple[str, ...]:
        """The names that a split may have, in order."""
        return USUAL[split] if (name := self.named(split)) is None else (name,)
