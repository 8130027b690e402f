"""How fast a site's device was measured to be: what turns a plan's arithmetic into hours."""

from pathlib import Path

from pydantic import PositiveFloat, ValidationError

from caebench.files.paths import expand
from caebench.files.toml import brief
from caebench.specs.base import Config

ENDING = ".calibration.json"


class Calibration(Config):
    """Speeds of one device, as `caebench bench calibrate` leaves them. It changes no number and enters no job id."""

    device: str
    """The device's name."""
    measured: str
    """The day, as YYYY-MM-DD."""
    training: PositiveFloat
    """FLOP/s of a pretraining step, by the plan's count of what it computes."""
    frozen: PositiveFloat
    """FLOP/s of a frozen encoder's forward pass."""
    variant: str
    """The encoder that was measured."""
    batch: int
    """Images of a step."""
    precision: str
    """The precision that was measured."""
    commit: str | None = None
    """The commit of caebench that measured."""


def calibration_path(folder: Path, site: str) -> Path:
    """Where a site's calibration lies: next to the site's file."""
    return expand(folder) / f"{site}{ENDING}"


def read_calibration(folder: Path, site: str) -> Calibration | None:
    """A site's calibration; None where nobody has measured.

    Raises:
        ValueError: the file holds something else.
    """
    path = calibration_path(folder, site)
    if not path.exists():
        return None
    again = f"`caebench bench calibrate --site {site}` writes it again."
    if not path.is_file():  # reading a pipe would wait for ever
        raise ValueError(f"{path}: not a file. Delete it: {again}")
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        field = brief(".".join(str(part) for part in problem["loc"])) or "the file"
        raise ValueError(f"{path}: {field}: {problem['msg'].lower()}. {again}") from error
