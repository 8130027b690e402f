"""What every pretraining method is: a module from a batch to a loss, its samples, and hooks around a step."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from caebench.config.stage import Pretrain
from caebench.data.loading import MakeSample
from caebench.models.regressor import CrossRegressor, SelfAttentionStack
from caebench.models.vit import Encoder
from caebench.training.hooks import Hooks


class Method(nn.Module, Hooks, ABC):
    """A method at work. Everything that changes between steps is in its state: parameters and buffers.

    `forward` takes a batch of samples to `{"loss": to minimise, other scalars: to log}`. Parameters that no gradient
    moves have `requires_grad` False.
    """

    one_branch = True  # every parameter is reached by the gradient alone: it can be parted (`training.sharding`)
    whole_batch = False  # the loss needs a process's whole share of the batch at once: it is never split
    multiple_of = 1  # samples that must stay together in a micro-batch
    repeats = 1  # samples made of each image in a row

    @abstractmethod
    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Loss and diagnostics of one micro-batch."""

    @abstractmethod
    def make_sampler(self, config: Pretrain) -> MakeSample:
        """What makes a sample of an image: views, masks and numbers out of (seed, epoch, index) alone."""

    @property
    @abstractmethod
    def pretrained(self) -> Encoder:
        """The encoder that pretraining leaves."""

    def signs(self, features: Float[Tensor, "batch dim"]) -> dict[str, Tensor]:
        """What shows a collapse, where anyone will read it: a singular-value decomposition in every step is dear."""
        return {"rankme": rankme(features)} if self.is_logged else {}

    @property
    def network(self) -> nn.Module:
        """What `model.pt` holds."""
        return self

    @property
    def num_parameters(self) -> int:
        """Parameters that train."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of every encoder, regressor and decoder in the method: the bulk of its work."""
        stacks = (Encoder, CrossRegressor, SelfAttentionStack)
        return [block for part in self.modules() if isinstance(part, stacks) for block in part.blocks]


@torch.no_grad()
def rankme(features: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """The effective rank of a batch of features: the exponential of their singular values' entropy (arXiv 2210.02885).

    A number of the micro-batch, at most its size: compare it along a run, not between batch sizes.
    """
    finite = features.float().nan_to_num(0.0, 0.0, 0.0)  # the loop reports divergence, not LAPACK
    values = torch.linalg.svdvals(finite)
    share = values / (values.sum() + 1e-7) + 1e-7
    return torch.exp(-(share * share.log()).sum())
