"""What a tokenizer sees of a sample: for its codes to be cached (ADR 19)."""

from typing import Any

from PIL import Image
from torch import Tensor

from caebench.data.crops import CROP
from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import Pixels, TwoViews
from caebench.specs.inputs.code_cache import Codes


class TokenizerView:
    """The tokenizer's view of a sample, as in pretraining, and no other."""

    def __init__(self, config: Codes) -> None:
        self.seed = config.seed
        self.views = TwoViews(config.view_size, config.view_size, config.crop_scale_min, config.color_jitter)
        self.takes_pixels = not config.color_jitter

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            if isinstance(image, Tensor):
                crop = self.views.cut(image)
                return {CROP: crop._replace(views={"view": crop.views["view"]})}
            return {"view": self.views.tokenizer_view(image)}
