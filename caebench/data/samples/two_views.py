"""Two strongly augmented views of one image, as MoCo v3 takes them."""

from typing import Any

from PIL import Image
from torchvision.transforms import v2

from caebench.data.loading import Key
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.views import stack_views, two_views
from caebench.specs.pretrain import Pretrain


class TwoAugmented:
    """Both views of one image, from (seed, epoch, index)."""

    def __init__(self, config: Pretrain, blur_max: float) -> None:
        self.seed = config.seed
        scale = (config.crop_scale_min, 1.0)
        self.transforms = two_views(config.image_size, scale, blur_max, v2.InterpolationMode.BILINEAR)

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            return {"views": stack_views(image, self.transforms)}
