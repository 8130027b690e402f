"""Large and small crops of one image, as DINO takes them; for iBOT with masks of the large ones."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool
from PIL import Image
from torch import Tensor

from caebench.data.loading import Key
from caebench.data.masking import sample_mask
from caebench.data.randomness import Purpose, derive, generator, seeded
from caebench.data.views import View, stack_views, two_views
from caebench.specs.masking import Masking
from caebench.specs.methods.self_distillation import SelfDistillation
from caebench.specs.pretrain import Pretrain


class MultiCrop:
    """Two large crops and several small ones of one image, with the student's stochastic-depth numbers for each."""

    def __init__(self, config: Pretrain, method: SelfDistillation, num_drop_path_uniforms: int) -> None:
        self.seed, self.shape = config.seed, (2 + method.num_local, num_drop_path_uniforms)
        self.large = two_views(config.image_size, (config.crop_scale_min, 1.0), method.blur_max)
        scale = method.local_scale_min, method.local_scale_max
        small = View(method.local_size, scale, 0.5, 0.0, method.blur_max).transform()
        self.small = [small] * method.num_local

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            views, local = stack_views(image, self.large), stack_views(image, self.small)
        drop_path_uniforms = generator(Purpose.DEPTH, self.seed, *key).random(self.shape, dtype="float32")
        return {"views": views, "local": local, "drop_path_uniforms": torch.from_numpy(drop_path_uniforms)}


class MaskedShare(NamedTuple):
    """How much of a view is masked, and how often."""

    masking: Masking
    spread: float  # of the ratio, to either side
    probability: float  # of a view to be masked at all


class MaskedMultiCrop(MultiCrop):
    """DINO's crops; each large one is masked block-wise by chance, to a share that is drawn too (Sec. 3.2)."""

    def __init__(
        self, config: Pretrain, method: SelfDistillation, num_drop_path_uniforms: int, grid: int, share: MaskedShare
    ) -> None:
        super().__init__(config, method, num_drop_path_uniforms)
        self.grid, self.share = grid, share

    def __call__(self, image: Image.Image, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        rng = generator(Purpose.MASK, self.seed, *key)
        masks = torch.stack([self._mask(rng) for _ in self.large])
        return {**super().__call__(image, label, key), "masked": masks}

    def _mask(self, rng: Any) -> Bool[Tensor, " patches"]:
        masking, spread, probability = self.share
        ratio = rng.uniform(masking.ratio - spread, masking.ratio + spread)
        num_masked = round(ratio * self.grid**2) if rng.random() < probability else 0
        return torch.from_numpy(sample_mask(masking, self.grid, num_masked, rng).flatten())
