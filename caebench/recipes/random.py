"""The encoder before any training."""

from caebench.config.stage import RandomEncoder
from caebench.config.variants import VariantName
from caebench.recipes.cae import IMAGE_SIZE, layer_scale


def random_encoder(variant: VariantName = "vit_b") -> RandomEncoder:
    """A randomly initialised encoder, as CAE initialises its own: the floor under a table. Not in the paper."""
    return RandomEncoder(
        kind="random_encoder",
        variant=variant,
        image_size=IMAGE_SIZE,
        layer_scale=layer_scale(variant),
    )
