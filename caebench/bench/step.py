"""Our pretraining step as in the training loop, on a batch on the device, as a whole or split into stages."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from caebench.bench.timing import wait
from caebench.data.masking import sample_mask
from caebench.methods.cae import CAEMethod
from caebench.models.tokenizer import DALLEEncoder, DiscreteVAE, Tokenizer
from caebench.specs.methods.cae import cae_of
from caebench.specs.pretrain import Pretrain
from caebench.specs.targets import DALLETarget, DVAETarget
from caebench.specs.variants import VARIANTS
from caebench.training.optim import clip_gradients, make_optimizer, split_decay
from caebench.training.step import Batch, autocast, distribute, to_device

IS_LOGGED = False  # nine of ten steps log no metrics
STAGES = ("tokenizer", "encoder", "target", "regressor", "decoder", "losses", "backward", "optimizer")


class Stopwatch:
    """Seconds of each stage, synchronised with the device; nested stages are counted separately."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, defaultdict[str, float](float)
        self.open: list[str] = []
        self.since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the enclosed code."""
        self.enter(name)
        yield
        self.leave()

    def enter(self, name: str) -> None:
        """A stage begins; the one around it pauses."""
        self._note()
        self.open.append(name)

    def leave(self) -> None:
        """The innermost stage ends."""
        self._note()
        self.open.pop()

    def _note(self) -> None:
        wait(self.device)
        now = time.perf_counter()
        if self.open:
            self.seconds[self.open[-1]] += now - self.since
        self.since = now

    def watch(self, module: nn.Module, name: Callable[[], str]) -> list[Any]:
        """Time each forward pass of a module; returns the hooks."""
        before = module.register_forward_pre_hook(lambda *_: self.enter(name()))
        return [before, module.register_forward_hook(lambda *_: self.leave())]


class OurStep:
    """Targets, losses, backward pass, clipping, update: a step of `training.trainer` without logging."""

    def __init__(
        self, config: Pretrain, device: torch.device, *, compiled: bool = False, tokenizer: Tokenizer | None = None
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.method = CAEMethod(config).to(device).train()
        self.method.tokenizer = [] if tokenizer is None else [tokenizer.to(device)]
        if compiled:
            for block in [*self.method.blocks, *([tokenizer] if tokenizer is not None else [])]:
                block.compile()
        self.method.is_logged = IS_LOGGED
        self.groups = split_decay(self.method)
        self.parameters = [p for group in self.groups for p in group["params"]]
        self.optimizer = make_optimizer(config.optimization, self.groups)
        self.model = distribute(self.method)

    def __call__(self, batch: Batch) -> Tensor:
        """One step; returns its loss, still on the device."""
        with autocast(self.device, self.config.optimization.precision):
            loss = self.model(batch)["loss"]
        loss.backward()
        self.update()
        return loss.detach()

    def update(self) -> None:
        """Clip and update."""
        clip_gradients(self.parameters, self.config.optimization)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def split(self, batch: Batch) -> dict[str, float]:
        """One step; returns its seconds by stage."""
        watch, network = Stopwatch(self.device), self.method.model
        hooks = watch.watch(network.encoder, lambda: "encoder" if torch.is_grad_enabled() else "target")
        hooks += watch.watch(network.regressor, lambda: "regressor") + watch.watch(network.decoder, lambda: "decoder")
        self.method.targets = cast(Any, _timed(self.method.targets, watch))
        try:
            with watch.stage("losses"), autocast(self.device, self.config.optimization.precision):
                loss = self.model(batch)["loss"]
            with watch.stage("backward"):
                loss.backward()
            with watch.stage("optimizer"):
                self.update()
        finally:
            del self.method.targets  # the class has it
            for hook in hooks:
                hook.remove()
        return {name: watch.seconds[name] for name in STAGES}

    @property
    def state(self) -> list[Tensor]:
        """Every tensor that persists between steps."""
        moments = [v for state in self.optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
        return [*self.method.parameters(), *self.method.buffers(), *moments]


def _timed(function: Callable[[Batch], Tensor], watch: Stopwatch) -> Callable[[Batch], Tensor]:
    def timed(batch: Batch) -> Tensor:
        with watch.stage("tokenizer"):
            return function(batch)

    return timed


def make_batch(config: Pretrain, num_images: int, device: torch.device, view_size: int | None = None) -> Batch:
    """Noise in place of images, with masks and drop-path uniforms as in the data pipeline.

    Args:
        config: determines masks and sizes.
        num_images: in the batch.
        device: where to put it.
        view_size: of the tokenizer's view; None: codes, as from a code cache.
    """
    method, variant = cae_of(config), VARIANTS[config.variant]
    assert isinstance(method.target, DALLETarget | DVAETarget)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    grid = config.image_size // variant.patch_size
    num_masked = method.masking.num_masked(grid**2)
    masks = np.stack([sample_mask(method.masking, grid, num_masked, rng).flatten() for _ in range(num_images)])
    num_drop_path_uniforms = 4 * variant.depth + 2 * (method.regressor_depth + method.decoder_depth)
    codes = torch.randint(method.target.vocabulary, (num_images, grid**2), generator=generator)
    view = None if view_size is None else torch.rand(num_images, 3, view_size, view_size, generator=generator)
    batch = {
        "image": torch.randn(num_images, 3, config.image_size, config.image_size, generator=generator),
        "masked": torch.from_numpy(masks),
        "drop_path_uniforms": torch.rand(num_images, num_drop_path_uniforms, generator=generator),
        **({"codes": codes} if view is None else {"view": view}),
    }
    return to_device(batch, device)


def make_tokenizer(config: Pretrain) -> Tokenizer:
    """A tokenizer with random weights, which costs as much as a trained one."""
    match cae_of(config).target:
        case DVAETarget(tokenizer=sizes):
            tokenizer = DiscreteVAE(sizes)
        case target:
            assert isinstance(target, DALLETarget)
            tokenizer = DALLEEncoder(target.vocabulary)
    return tokenizer.eval().requires_grad_(False)
