"""A sample to train the discrete VAE on: a crop, and the seed of its Gumbel noise."""

from typing import Any

from PIL import Image

from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import whole_image
from caebench.specs.inputs.tokenizer import DVAE


class DVAESample:
    """A crop, and the seed of its noise."""

    def __init__(self, config: DVAE) -> None:
        self.seed = config.seed
        self.transform = whole_image(config.image_size)

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            crop = self.transform(image)
        return {"image": crop, "noise_seed": derive(Purpose.GUMBEL, self.seed, *key)}
