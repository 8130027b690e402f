"""The data sets by name, and the synthetic world: digits on photographs, rendered from a seed in the layout of each."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, NonNegativeInt, PositiveInt

from caebench.datasets.registry import DATASETS, PUBLISHED
from caebench.datasets.splits import Amount
from caebench.files.toml import brief
from caebench.specs.base import Config, OneOf
from caebench.specs.did_you_mean import suggest


def known_dataset(name: str, known: Mapping[str, object] = PUBLISHED) -> str:
    """A data set's name.

    Raises:
        ValueError: there is no such data set.
    """
    if name not in known:
        raise ValueError(f"data set '{brief(name)}': unknown.{suggest(name, known)} Known: {', '.join(known)}.")
    return name


RealName = Annotated[str, AfterValidator(known_dataset), OneOf(PUBLISHED)]
RenderedName = Annotated[str, AfterValidator(lambda name: known_dataset(name, DATASETS)), OneOf(DATASETS)]


class World(Config):
    """How much is rendered, and how large.

    The images come from packages (scikit-learn's digits, scikit-image's photographs): nothing is fetched.
    """

    kind: Literal["world"]
    seed: NonNegativeInt = 0
    """Seed of everything rendered."""
    image_size: PositiveInt = 48
    """Pixels of an image's side."""
    num_train: PositiveInt = 1500
    """Training images of each data set that labels whole images."""
    num_val: PositiveInt = 500
    """Validation images of the same."""
    num_scenes_train: PositiveInt = 400
    """Training scenes of each data set that labels what is in them."""
    num_scenes_val: PositiveInt = 240
    """Validation scenes of the same."""
    scene_size: PositiveInt = 64
    """Pixels of a scene's side."""

    def amount(self, name: str) -> Amount:
        """How much is rendered of a data set."""
        if DATASETS[name].labels in ("map", "instances"):
            return Amount(self.seed, self.scene_size, self.num_scenes_train, self.num_scenes_val)
        return Amount(self.seed, self.image_size, self.num_train, self.num_val)

    def amounts(self, names: Iterable[str] | None = None) -> dict[str, Amount]:
        """How much of each of some data sets, or of all."""
        return {name: self.amount(name) for name in (DATASETS if names is None else names)}
