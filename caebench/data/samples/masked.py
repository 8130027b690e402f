"""A sample of the masked-image methods: one view, its mask, its numbers."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from caebench.data.crops import CROP
from caebench.data.loading import Key
from caebench.data.masking import sample_mask
from caebench.data.randomness import Purpose, derive, generator, seeded
from caebench.data.transforms import Pixels, TwoViews
from caebench.specs.masking import Masking
from caebench.specs.pretrain import Pretrain


class MaskedSample:
    """A view, its mask, stochastic-depth numbers, and the tokenizer's view of the same crop where there is one."""

    def __init__(
        self,
        config: Pretrain,
        masking: Masking,
        grid: int,
        num_drop_path_uniforms: int,
        tokenizer_stride: int | None = None,
        color_jitter: float = 0.0,
    ) -> None:
        self.seed, self.masking, self.num_drop_path_uniforms = config.seed, masking, num_drop_path_uniforms
        self.grid, self.num_masked = grid, masking.num_masked(grid**2)
        tokenizer_size = grid * tokenizer_stride if tokenizer_stride else None
        self.views = TwoViews(config.image_size, tokenizer_size, config.crop_scale_min, color_jitter)
        self.one_view = TwoViews(config.image_size, None, config.crop_scale_min, color_jitter)
        self.takes_pixels = not color_jitter

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key, *, with_view: bool = True) -> dict[str, Any]:
        """The label is not used; without the tokenizer's view where its codes are known."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            shown = self._show(image, self.views if with_view else self.one_view)
        rng = generator(Purpose.MASK, self.seed, *key)
        mask = sample_mask(self.masking, self.grid, self.num_masked, rng)
        drop_path_uniforms = generator(Purpose.DEPTH, self.seed, *key).random(
            self.num_drop_path_uniforms, dtype="float32"
        )
        return {
            **shown,
            "masked": torch.from_numpy(mask.flatten()),
            "drop_path_uniforms": torch.from_numpy(drop_path_uniforms),
        }

    def _show(self, image: Image.Image | Pixels, views: TwoViews) -> dict[str, Any]:
        """The views, or the crop that the device makes them of."""
        if isinstance(image, Tensor):
            return {CROP: views.cut(image)}
        view, tokenizer_view = views(image)
        return {"image": view} if tokenizer_view is None else {"image": view, "view": tokenizer_view}
