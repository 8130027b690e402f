"""The base class of pretraining methods: a module from a batch to a loss, a sampler, and hooks around a step."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from caebench.data.loading import MakeSample
from caebench.models.regressor import CrossRegressor, SelfAttentionStack
from caebench.models.vit import Encoder
from caebench.specs.pretrain import Pretrain
from caebench.training.hooks import Hooks


class Method(nn.Module, Hooks, ABC):
    """A method in training. Everything that changes between steps is in its state: parameters and buffers.

    `forward` maps a batch of samples to `{"loss": to minimise, other scalars: to log}`. Parameters without a gradient
    have `requires_grad` False.
    """

    shardable = True  # parameters change through the gradient only, so they can be sharded (`training.sharding`)
    needs_full_batch = False  # the loss needs a process's full share of the batch, so it is never accumulated
    batch_multiple = 1  # a micro-batch is a multiple of so many consecutive samples
    repeats = 1  # consecutive samples of each image

    @abstractmethod
    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Loss and diagnostics of one micro-batch."""

    @abstractmethod
    def make_sampler(self, config: Pretrain) -> MakeSample:
        """The function from an image to a sample: views, masks and uniforms, from (seed, epoch, index) alone."""

    @property
    @abstractmethod
    def pretrained(self) -> Encoder:
        """The encoder that is saved after pretraining."""

    def collapse_metrics(self, features: Float[Tensor, "batch dim"]) -> dict[str, Tensor]:
        """The effective rank of features, in logged steps only: a singular-value decomposition is expensive."""
        return {"rankme": rankme(features)} if self.is_logged else {}

    @property
    def network(self) -> nn.Module:
        """The module that is saved in `model.pt`."""
        return self

    @property
    def num_parameters(self) -> int:
        """Parameters that train."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of every encoder, regressor and decoder in the method: most of its computation."""
        stacks = (Encoder, CrossRegressor, SelfAttentionStack)
        return [block for part in self.modules() if isinstance(part, stacks) for block in part.blocks]


@torch.no_grad()
def rankme(features: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """The effective rank of a batch of features: the exponential of their singular values' entropy (arXiv 2210.02885).

    It is computed on a micro-batch and is at most its size: compare it within a run, not between batch sizes.
    """
    finite = features.float().nan_to_num(0.0, 0.0, 0.0)  # so that the loop reports divergence instead of LAPACK
    values = torch.linalg.svdvals(finite)
    share = values / (values.sum() + 1e-7) + 1e-7
    return torch.exp(-(share * share.log()).sum())
