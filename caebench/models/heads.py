"""The heads of evaluations: the probes' normalisation, CAE's attentive pooling, classifiers."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from caebench.models.attention import CrossAttention
from caebench.models.vit import LayerNorm


class BatchNorm(nn.Module):
    """Batch norm over the batches of all processes (ADR 4), by default without affine parameters.

    In evaluation it uses running statistics of the training data. The official attentive probe uses the batch's own
    statistics there, so its validation batches change its result; here they never do (ADR 3).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, dim: int, eps: float, momentum: float = 0.1, *, affine: bool = False) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(dim)) if affine else None
        self.bias = nn.Parameter(torch.zeros(dim)) if affine else None
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        """Normalise each feature, in float32."""
        x = x.float()
        mean, var = self._statistics(x) if self.training else (self.running_mean, self.running_var)
        normal = (x - mean) / (var + self.eps).sqrt()
        return normal if self.weight is None or self.bias is None else normal * self.weight + self.bias

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance over all processes, which have equally many rows; updates the running ones."""
        world = dist.get_world_size()
        mean = all_reduce(x.mean(dim=0)) / world
        var = all_reduce(((x - mean) ** 2).mean(dim=0)) / world
        count = len(x) * world
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / max(1, count - 1), self.momentum)
        return mean, var


class LinearHead(nn.Module):
    """Batch norm and a linear layer (official tools/run_linear.py; MAE's FINETUNE.md)."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = BatchNorm(dim, eps=1e-6)
        self.linear = nn.Linear(dim, num_classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.linear(self.norm(features))


class AttentiveHead(nn.Module):
    """One cross-attention from a learnt query to all tokens, then batch norm and a linear layer (CAE, Sec. 4.2).

    Norms on query, keys and values, a query initialised to zero, no MLP, no skip: official modeling_finetune.py.
    """

    def __init__(self, dim: int, num_heads: int, num_classes: int, init_std: float = 0.02) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(1, 1, dim))
        self.norm_q, self.norm_k, self.norm_v = LayerNorm(dim), LayerNorm(dim), LayerNorm(dim)
        self.attn = CrossAttention(dim, num_heads)
        self.norm = BatchNorm(dim, eps=1e-5)
        self.linear = nn.Linear(dim, num_classes)
        self._initialise(init_std)

    def _initialise(self, init_std: float) -> None:
        for layer in (self.attn.q, self.attn.k, self.attn.v, self.attn.proj):
            nn.init.trunc_normal_(layer.weight, std=init_std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        query = self.norm_q(self.query).expand(len(tokens), -1, -1)
        pooled = self.attn(query, self.norm_k(tokens), self.norm_v(tokens))[:, 0]
        return self.linear(self.norm(pooled))


class FinetuneHead(nn.Module):
    """The mean of the patch tokens before the final norm, then that norm and a linear layer (as in BEiT)."""

    def __init__(self, dim: int, num_classes: int, init_scale: float, num_prefix: int = 1) -> None:
        super().__init__()
        self.num_prefix = num_prefix  # tokens before the patches
        self.norm = LayerNorm(dim)
        self.linear = nn.Linear(dim, num_classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        self.linear.weight.data.mul_(init_scale)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.linear(self.norm(tokens[:, self.num_prefix :].mean(dim=1)))
