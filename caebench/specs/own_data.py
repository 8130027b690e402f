"""What a site file says of a user's own data set, and the names that it may have (ADR 41)."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from caebench.datasets.own.formats import FORMATS
from caebench.datasets.own.layout import VAL_SHARE, Layout
from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.files.toml import brief
from caebench.specs.base import Config, OneOf
from caebench.specs.did_you_mean import suggest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # it becomes a part of folders' names


def data_name(name: str) -> str:
    """A published data set's name, or one that a site file may give to a folder.

    Raises:
        ValueError: no data set may have this name.
    """
    if NAME.fullmatch(name) is None:
        raise ValueError(
            f"data set '{brief(name)}': no name of a data set. Known: {', '.join(PUBLISHED)}; or a name that the site "
            "file gives to a folder of yours, of letters, digits, '_', '-' and '.'"
        )
    if name in DATASETS and name not in PUBLISHED:
        raise ValueError(f"data set '{name}': unknown: it exists rendered only. Known: {', '.join(PUBLISHED)}")
    return name


def known_format(name: str) -> str:
    """A format's name.

    Raises:
        ValueError: there is no such format.
    """
    if name not in FORMATS:
        raise ValueError(f"format '{brief(name)}': unknown.{suggest(name, FORMATS)} Known: {', '.join(FORMATS)}")
    return name


def place_below(path: str) -> str:
    """A path below a root.

    Raises:
        ValueError: it leaves the root.
    """
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"'{brief(path)}': give a path below the root")
    return path


DataName = Annotated[str, AfterValidator(data_name)]
FormatName = Annotated[str, AfterValidator(known_format), OneOf(FORMATS)]


Place = Annotated[str, AfterValidator(place_below)]


class OwnLayout(Config):
    """How a user's folder is laid out."""

    format: FormatName
    """The format."""
    train: Place | None = None
    """The folder or list of the training images; without it `train` or `training`."""
    val: Place | None = None
    """That of the validation images; without it `val`, `valid`, `validation`, `test` or `testing`."""
    val_share: float = Field(default=VAL_SHARE, gt=0.0, lt=1.0)
    """The share of each class that is held out where there are no validation images."""
    num_classes: PositiveInt | None = None
    """The number of classes of label maps, where no `classes.txt` names them."""

    @property
    def form(self) -> Layout:
        """The same for readers."""
        return Layout(self.format, self.train, self.val, self.val_share, self.num_classes)
