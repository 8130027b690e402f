"""iBOT (arXiv 2111.07832): DINO, with a second loss on the teacher's assignment of the student's masked patches.

Class token and patches share one head and have separate centres. The teacher sees unmasked large crops, the student
has a mask token in place of masked patches. Official main_ibot.py and loader.py.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from caebench.data.samples.multi_crop import MaskedMultiCrop, MaskedShare
from caebench.methods.dino import Center, DINOMethod, crop_major, rising
from caebench.models.precision import in_float32
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Fill
from caebench.specs.methods.ibot import IBOT
from caebench.specs.pretrain import Pretrain
from caebench.training.hooks import StepInfo


class IBOTMethod(DINOMethod):
    """DINO's student, teacher and centre, a mask token, and a centre for patches."""

    config: IBOT

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config, tokenizer)
        assert isinstance(config.method, IBOT)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.student.encoder.variant.dim))  # official: zeros
        self.patch_center = Center(self.config.prototypes, self.config.patch_center_momentum)
        self.patch_temperature = self.config.patch_teacher_temperature_start

    def make_sampler(self, config: Pretrain) -> MaskedMultiCrop:
        """Large and small crops, and masks for the large ones."""
        method, encoder = self.config, self.student.encoder
        share = MaskedShare(method.masking, method.mask_ratio_spread, method.mask_probability)
        return MaskedMultiCrop(config, method, encoder.num_drop_path_uniforms, encoder.grid, share)

    def before_step(self, info: StepInfo) -> None:
        """Both temperatures rise over the first epochs."""
        super().before_step(info)
        start, end = self.config.patch_teacher_temperature_start, self.config.patch_teacher_temperature
        self.patch_temperature = rising(start, end, self.config.teacher_temperature_epochs, info)

    def after_step(self, info: StepInfo) -> None:
        """Update teacher and both centres."""
        super().after_step(info)
        self.patch_center.update()

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weighted sum of the losses on class tokens and on patches (Eq. 3)."""
        large, masked = crop_major(batch["views"]), batch["masked"].transpose(0, 1).flatten(0, 1)
        drop_path_uniforms = crop_major(batch["drop_path_uniforms"][:, :2])
        tokens = self.student.encoder(large, drop_path_uniforms=drop_path_uniforms, fill=Fill(masked, self.mask_token))
        student = self.student.head(torch.cat([tokens[:, 0], self.encode_small(batch)]))
        student_patches = self.student.head(tokens[:, 1:][masked])
        with torch.no_grad():
            taught = self.teacher.encoder(large)
            teacher = self.teacher.head(taught)
        class_loss = self.class_loss(student, teacher[:, 0], len(batch["views"]))
        patch_loss = self.patch_loss(student_patches, teacher[:, 1:], masked)
        self.center.observe(teacher[:, 0])
        self.patch_center.observe(teacher[:, 1:].flatten(0, 1))
        return {
            "loss": self.config.class_weight * class_loss + self.config.patch_weight * patch_loss,
            "class_loss": class_loss.detach(),
            "patch_loss": patch_loss.detach(),
            **self.collapse_metrics(taught[:, 0].chunk(2)[0]),
        }

    def patch_loss(
        self,
        student: Float[Tensor, "masked_patches prototypes"],
        teacher: Float[Tensor, "crops patches prototypes"],
        masked: Bool[Tensor, "crops patches"],
    ) -> Float[Tensor, ""]:
        """The loss on masked patches."""
        temperatures = self.config.student_temperature, self.patch_temperature
        return masked_distillation_loss(student, teacher[masked], masked, self.patch_center.value, *temperatures)


@in_float32
def masked_distillation_loss(
    student: Float[Tensor, "masked_patches prototypes"],
    teacher: Float[Tensor, "masked_patches prototypes"],
    masked: Bool[Tensor, "crops patches"],
    center: Float[Tensor, " prototypes"],
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy at each masked patch (Eq. 2): the mean over a crop's masked patches, then over all crops.

    A crop without a mask counts as a loss of 0, as in the official code.
    """
    wanted = ((teacher - center) / teacher_temperature).softmax(dim=-1)
    each = -(wanted * (student / student_temperature).log_softmax(dim=-1)).sum(dim=-1)
    weights = (masked.to(each.dtype) / masked.sum(dim=1, keepdim=True).clamp(min=1))[masked]
    return (each * weights).sum() / len(masked)
