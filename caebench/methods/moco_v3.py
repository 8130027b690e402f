"""MoCo v3 (arXiv 2104.02057): predict one view's momentum features from the other view, among the full batch.

Batch norm and negatives are over all processes, so the loss needs the full batch at once, without accumulation. The
patch projection stays at its random initialisation (Sec. 4.2). Official moco/builder.py and vits.py.
"""

from itertools import pairwise

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.data.samples.two_views import TwoAugmented
from caebench.methods.method import Method
from caebench.methods.momentum import follow, frozen_copy, gather_rows
from caebench.models.heads import BatchNorm
from caebench.models.precision import in_float32
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder
from caebench.specs.methods.moco_v3 import MoCoV3
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS
from caebench.training.hooks import StepInfo


def make_mlp(dims: list[int]) -> nn.Sequential:
    """Linear layers without bias, each with batch norm; ReLU between them, no affine after the last."""
    layers: list[nn.Module] = []
    for dim, out in pairwise(dims[:-1]):
        layers += [nn.Linear(dim, out, bias=False), BatchNorm(out, eps=1e-5, affine=True), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(dims[-2], dims[-1], bias=False), BatchNorm(dims[-1], eps=1e-5))


class Branch(nn.Module):
    """Encoder and projector: what the momentum branch copies."""

    def __init__(self, encoder: Encoder, config: MoCoV3) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = make_mlp([encoder.variant.dim, config.hidden_dim, config.hidden_dim, config.output_dim])

    def forward(
        self, views: Float[Tensor, "batch 2 3 height width"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"], Float[Tensor, "both_batches features"]]:
        """Projections of each view, normalised separately, and the class tokens of both."""
        tokens = self.encoder(views.transpose(0, 1).flatten(0, 1))[:, 0]
        first, second = (self.projector(part) for part in tokens.chunk(2))
        return first, second, tokens


class MoCoV3Method(Method):
    """An online and a momentum branch, and a predictor on the online one."""

    needs_full_batch = True
    shardable = False

    def __init__(self, config: Pretrain, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        assert isinstance(config.method, MoCoV3)
        self.config = config.method
        self.online = Branch(make_encoder(config, self.config), self.config)
        self.predictor = make_mlp([self.config.output_dim, self.config.hidden_dim, self.config.output_dim])
        self.momentum = frozen_copy(self.online)

    @property
    def pretrained(self) -> Encoder:
        """The online branch's encoder, as in the official release."""
        return self.online.encoder

    def make_sampler(self, config: Pretrain) -> TwoAugmented:
        """Two augmented views."""
        return TwoAugmented(config, self.config.blur_max)

    def before_step(self, info: StepInfo) -> None:
        """Update the momentum branch before it makes the keys (official moco/builder.py)."""
        follow(self.momentum, self.online, info.cosine(self.config.momentum, 1.0))

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The symmetric loss of a process's share (Algorithm 1)."""
        first, second, tokens = self.online(batch["views"])
        queries = [self.predictor(projected).float() for projected in (first, second)]
        with torch.no_grad():
            keys = [gather_rows(projected.float()) for projected in self.momentum(batch["views"])[:2]]
        start, temperature = dist.get_rank() * len(first), self.config.temperature
        loss = contrast(queries[0], keys[1], start, temperature) + contrast(queries[1], keys[0], start, temperature)
        return {"loss": loss, **self.collapse_metrics(tokens.chunk(2)[0])}


def make_encoder(config: Pretrain, method: MoCoV3) -> Encoder:
    """Xavier, with queries, keys and values as three layers; a tiny class token; fixed patches (official vits.py)."""
    encoder = Encoder(VARIANTS[config.variant], config.image_size, layer_scale=None, init="xavier_patches")
    assert encoder.patch_embed.bias is not None, "the patch projection has a bias"
    nn.init.zeros_(encoder.patch_embed.bias)
    nn.init.normal_(encoder.cls_token, std=1e-6)
    for name, parameter in encoder.blocks.named_parameters():
        if name.endswith("attn.qkv.weight"):
            for part in parameter.data.chunk(3):
                nn.init.xavier_uniform_(part)
    encoder.patch_embed.requires_grad_(not method.freeze_patches)
    return encoder


@in_float32
def contrast(
    queries: Float[Tensor, "batch dim"], keys: Float[Tensor, "all_batches dim"], start: int, temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE, scaled by twice the temperature (Eq. 1, Algorithm 1): query i belongs to key `start` + i."""
    logits = F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).T / temperature
    labels = torch.arange(start, start + len(queries), device=queries.device)
    return 2.0 * temperature * F.cross_entropy(logits, labels)
