"""The encoder before any training."""

from typing import ClassVar, Literal, Self

from pydantic import PositiveFloat, PositiveInt

from caebench.specs.inputs.dataset import IMAGE_SIZE
from caebench.specs.job import EncoderSpec, Inputs
from caebench.specs.scale import Scale
from caebench.specs.variants import VARIANTS, Variant, VariantName, layer_scale


class RandomEncoder(EncoderSpec):
    """An encoder as it is before any training: the floor under every table."""

    VERSION: ClassVar[int] = 2

    kind: Literal["random_encoder"]
    variant: VariantName
    """The encoder's size."""
    image_size: PositiveInt
    """Pixels of a side."""
    layer_scale: PositiveFloat = 0.1
    """What layer scale starts from."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    @property
    def size(self) -> Variant:
        """Its sizes."""
        return VARIANTS[self.variant]

    def slug(self, inputs: Inputs, mark: str) -> str:
        """Size and seed."""
        return f"random-{self.variant}{mark}-s{self.seed}"

    def scaled(self, scale: Scale) -> Self:
        """A smaller one."""
        return self.replace(variant=scale.variants[self.variant], image_size=scale.size(self.image_size))


def random_encoder(variant: VariantName = "vit_b") -> RandomEncoder:
    """A randomly initialised encoder, as CAE initialises its own: the floor under a table. Not in the paper."""
    return RandomEncoder(
        kind="random_encoder",
        variant=variant,
        image_size=IMAGE_SIZE,
        layer_scale=layer_scale(variant),
    )
