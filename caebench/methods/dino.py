"""DINO (arXiv 2104.14294): the student's assignment of every crop must match the teacher's of the other large crop.

The teacher is a moving average of the student. Its outputs are centred and sharpened, which prevents collapse
(Sec. 3.1). The centre is updated once per step with the mean over all processes. Official main_dino.py.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.samples.multi_crop import MultiCrop
from caebench.methods.method import Method
from caebench.methods.momentum import follow, frozen_copy
from caebench.models.initialisation import initialise
from caebench.models.precision import in_float32
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder
from caebench.specs.methods.self_distillation import SelfDistillation
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS
from caebench.training.hooks import StepInfo


class Head(nn.Module):
    """Three layers to a bottleneck of unit length, and its similarity to each prototype (appendix C)."""

    def __init__(self, dim: int, config: SelfDistillation) -> None:
        super().__init__()
        hidden = config.hidden_dim
        layers = [nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()]
        self.mlp = nn.Sequential(*layers, nn.Linear(hidden, config.bottleneck_dim))
        initialise(self.mlp, "normal", config.init_std)
        self.prototypes = nn.Linear(config.bottleneck_dim, config.prototypes, bias=False)
        # One column, so that it decays as the official `weight_g` does.
        self.lengths = None if config.norm_last_layer else nn.Parameter(torch.ones(config.prototypes, 1))

    def forward(self, features: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch prototypes"]:
        """Similarities, in float32."""
        similar = cosine_similarities(self.mlp(features), self.prototypes.weight)
        return similar if self.lengths is None else similar * self.lengths[:, 0]


@in_float32
def cosine_similarities(
    features: Float[Tensor, "*batch width"], prototypes: Float[Tensor, "prototypes width"]
) -> Float[Tensor, "*batch prototypes"]:
    """Of every feature to every prototype; in bf16, after the teacher's temperature, they would be off by a tenth."""
    return F.linear(F.normalize(features, dim=-1), F.normalize(prototypes, dim=1))


class Branch(nn.Module):
    """Encoder and head: the student, and the teacher that copies it."""

    def __init__(self, config: Pretrain, method: SelfDistillation) -> None:
        super().__init__()
        self.encoder = Encoder(
            VARIANTS[config.variant],
            config.image_size,
            layer_scale=None,
            drop_path=method.drop_path,
            positions="learnt_with_class",
            init="normal",
            init_std=method.init_std,
            interpolation="offset",
        )
        self.head = Head(self.encoder.variant.dim, method)


class Center(nn.Module):
    """A moving mean of the teacher's outputs, over all processes (Eq. 4)."""

    value: Tensor
    observed: Tensor

    def __init__(self, dim: int, momentum: float) -> None:
        super().__init__()
        self.momentum, self.num_observed = momentum, 0
        self.register_buffer("value", torch.zeros(dim))
        self.register_buffer("observed", torch.zeros(dim), persistent=False)  # of the step's micro-batches so far

    @torch.no_grad()
    def observe(self, outputs: Float[Tensor, "outputs dim"]) -> None:
        """Accumulate a micro-batch's outputs."""
        self.observed += outputs.float().mean(dim=0)
        self.num_observed += 1

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the mean of the observed outputs; every process has observed the same number."""
        mean = self.observed / self.num_observed
        dist.all_reduce(mean)
        self.value.mul_(self.momentum).add_(mean / dist.get_world_size(), alpha=1.0 - self.momentum)
        self.observed.zero_()
        self.num_observed = 0


class DINOMethod(Method):
    """Student, teacher, centre; iBOT builds on it."""

    shardable = False

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        assert isinstance(config.method, SelfDistillation)
        self.config = config.method
        self.student = Branch(config, self.config)
        self.teacher = frozen_copy(self.student)
        self.center = Center(self.config.prototypes, self.config.center_momentum)
        self.teacher_temperature = self.config.teacher_temperature_start

    @property
    def pretrained(self) -> Encoder:
        """The teacher's encoder, as in the official release."""
        return self.teacher.encoder

    def make_sampler(self, config: Pretrain) -> MultiCrop:
        """Large and small crops."""
        return MultiCrop(config, self.config, self.student.encoder.num_drop_path_uniforms)

    def before_step(self, info: StepInfo) -> None:
        """The teacher's temperature rises over the first epochs."""
        start, end = self.config.teacher_temperature_start, self.config.teacher_temperature
        self.teacher_temperature = rising(start, end, self.config.teacher_temperature_epochs, info)

    def before_update(self, info: StepInfo) -> None:
        """The prototypes are frozen in the first epochs (official `cancel_gradients_last_layer`)."""
        if info.epoch < self.config.frozen_epochs:
            for name, parameter in self.student.head.named_parameters():
                if not name.startswith("mlp."):
                    parameter.grad = None

    def after_step(self, info: StepInfo) -> None:
        """Update teacher and centre."""
        follow(self.teacher, self.student, info.cosine(self.config.momentum, 1.0))
        self.center.update()

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss of one micro-batch (Algorithm 1)."""
        large, large_uniforms = crop_major(batch["views"]), crop_major(batch["drop_path_uniforms"][:, :2])
        features = self.student.encoder(large, drop_path_uniforms=large_uniforms)[:, 0]
        student = self.student.head(torch.cat([features, self.encode_small(batch)]))
        with torch.no_grad():
            taught = self.teacher.encoder(large)[:, 0]
            teacher = self.teacher.head(taught)
        loss = self.class_loss(student, teacher, len(batch["views"]))
        self.center.observe(teacher)
        return {"loss": loss, **self.collapse_metrics(taught.chunk(2)[0])}

    def encode_small(self, batch: dict[str, Tensor]) -> Float[Tensor, "small_crops dim"]:
        """The student's class tokens of the small crops, crop by crop."""
        return self.student.encoder(
            crop_major(batch["local"]), drop_path_uniforms=crop_major(batch["drop_path_uniforms"][:, 2:])
        )[:, 0]

    def class_loss(
        self, student: Float[Tensor, "crops prototypes"], teacher: Float[Tensor, "large_crops prototypes"], size: int
    ) -> Float[Tensor, ""]:
        """The loss between the class tokens of `size` images."""
        temperatures = self.config.student_temperature, self.teacher_temperature
        crops, large = student.unflatten(0, (-1, size)), teacher.unflatten(0, (2, size))
        return distillation_loss(crops, large, self.center.value, *temperatures)


@in_float32
def distillation_loss(
    student: Float[Tensor, "crops batch prototypes"],
    teacher: Float[Tensor, "large batch prototypes"],
    center: Float[Tensor, " prototypes"],
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy from each large crop's assignment to every other crop's (Eq. 3), the mean over pairs and images."""
    wanted = ((teacher - center) / teacher_temperature).softmax(dim=-1)
    found = (student / student_temperature).log_softmax(dim=-1)
    pairs = -torch.einsum("tbk,sbk->ts", wanted, found) / student.shape[1]
    others = ~torch.eye(*pairs.shape, dtype=torch.bool, device=pairs.device)
    return pairs[others].mean()


def rising(start: float, end: float, epochs: float, info: StepInfo) -> float:
    """Linear over the first epochs, epoch by epoch, then constant."""
    reached = 1.0 if epochs == 0.0 else int(info.epoch) / max(epochs - 1.0, 1e-9)
    return start + (end - start) * min(1.0, reached)


def crop_major(crops: Float[Tensor, "batch crops *rest"]) -> Float[Tensor, "crops_times_batch *rest"]:
    """All images' first crops, then their second ones, and so on."""
    return crops.transpose(0, 1).flatten(0, 1)
