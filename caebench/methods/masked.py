"""What the masked-image methods share: patches as targets, and a sample with one view, its mask, its numbers."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from caebench.config.method import Masking
from caebench.config.stage import Pretrain
from caebench.data.crops import CROP
from caebench.data.loading import Key
from caebench.data.masking import sample_mask
from caebench.data.randomness import Purpose, derive, generator, seeded
from caebench.data.transforms import Pixels, TwoViews
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder


def patchify(images: Float[Tensor, "batch 3 height width"], size: int) -> Float[Tensor, "batch patches values"]:
    """Cut images into patches, row by row; a patch's values are ordered row, column, channel."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels)


def normalize_patches(patches: Float[Tensor, "*batch values"]) -> Float[Tensor, "*batch values"]:
    """Each patch by its own mean and unbiased variance, as MAE's target (arXiv 2111.06377, Sec. 4.1)."""
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


def split_patches(
    masked: Bool[Tensor, "batch patches"], num_masked: int
) -> tuple[Int[Tensor, "batch visible"], Int[Tensor, "batch masked"]]:
    """The numbers of the visible and of the masked patches of each image, in order; the host waits for no device.

    Raises:
        RuntimeError: an image has another number of masked patches; on a GPU some time later.
    """
    exact = (masked.sum(dim=1) == num_masked).all()
    check: Any = torch._assert_async  # pyright: ignore[reportPrivateImportUsage] the only check without a wait
    check(exact, f"every image must have {num_masked} masked patches")
    order = masked.byte().argsort(dim=1, stable=True)
    visible, hidden = order.split([masked.shape[1] - num_masked, num_masked], dim=1)
    return visible, hidden


@torch.no_grad()
def read_codes(batch: dict[str, Tensor], tokenizer: list[Tokenizer]) -> Int[Tensor, "batch patches"]:
    """The codes that came with the batch, or else the tokenizer's."""
    return batch["codes"] if "codes" in batch else tokenizer[0].codes(batch["view"])


class MaskedSample:
    """A view, its mask, stochastic-depth numbers, and the tokenizer's view of the same crop where there is one."""

    def __init__(
        self,
        config: Pretrain,
        masking: Masking,
        encoder: Encoder,
        num_draws: int,
        tokenizer: Tokenizer | None = None,
        color_jitter: float = 0.0,
    ) -> None:
        self.seed, self.masking, self.num_draws = config.seed, masking, num_draws
        self.grid, self.num_masked = encoder.grid, masking.num_masked(encoder.num_patches)
        tokenizer_size = self.grid * tokenizer.stride if tokenizer else None
        self.views = TwoViews(config.image_size, tokenizer_size, config.crop_scale_min, color_jitter)
        self.one_view = TwoViews(config.image_size, None, config.crop_scale_min, color_jitter)
        self.takes_pixels = not color_jitter

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key, *, with_view: bool = True) -> dict[str, Any]:
        """The label is not used; without the tokenizer's view where its codes are known."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            shown = self._show(image, self.views if with_view else self.one_view)
        rng = generator(Purpose.MASK, self.seed, *key)
        mask = sample_mask(self.masking, self.grid, self.num_masked, rng)
        draws = generator(Purpose.DEPTH, self.seed, *key).random(self.num_draws, dtype="float32")
        return {**shown, "masked": torch.from_numpy(mask.flatten()), "draws": torch.from_numpy(draws)}

    def _show(self, image: Image.Image | Pixels, views: TwoViews) -> dict[str, Any]:
        """The views, or the crop that the device makes them of."""
        if isinstance(image, Tensor):
            return {CROP: views.cut(image)}
        view, tokenizer_view = views(image)
        return {"image": view} if tokenizer_view is None else {"image": view, "view": tokenizer_view}
