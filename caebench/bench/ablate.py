"""Each optimisation of the pretraining step switched off alone, compared with the step that has all of them.

The package has no switches: the plain form is patched in for the duration of a step. The second list has optimisations
that were tried but not kept, switched on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from caebench.bench import step as our_step
from caebench.bench.pretrain import build
from caebench.bench.reference import attend
from caebench.bench.settings import Settings
from caebench.bench.timing import interleave, paired
from caebench.methods import cae
from caebench.methods.cae import CAEModel
from caebench.models.vit import Encoder, gather

Patch = tuple[Any, str, Any]  # owner, name, replacement


class Switch(NamedTuple):
    """One change to the step: replaced attributes, or other settings."""

    what: str
    patches: tuple[Patch, ...] = ()
    settings: Callable[[Settings], Settings] = lambda settings: settings
    applies: Callable[[Settings], bool] = lambda _: True


@contextmanager
def patched(patches: tuple[Patch, ...]) -> Iterator[None]:
    """Replace some attributes."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _attend(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    assert options.get("attn_mask") is None and not options.get("dropout_p"), "CAE has neither"
    return attend(query, key, value)


def _split_by_mask(masked: Tensor, num_masked: int) -> tuple[Tensor, Tensor]:
    return ~masked, masked


class _AdamW(torch.optim.AdamW):
    """PyTorch's default, not fused."""

    def __init__(self, *arguments: Any, fused: bool, **options: Any) -> None:
        super().__init__(*arguments, **options)


@torch.no_grad()
def _encode_with_copy(model: CAEModel, images: Tensor, hidden: Tensor, drop_path_uniforms: Tensor | None) -> Tensor:
    """The alignment target from a second encoder, which is updated in each step."""
    copy: Encoder = model.__dict__.setdefault("_copies", [deepcopy(model.encoder)])[0]  # a list: no submodule
    for theirs, ours in zip(copy.parameters(), model.encoder.parameters(), strict=True):
        theirs.copy_(ours)
    return model.to_latent(copy(images, hidden, drop_path_uniforms))[:, 1:]


def _embed_chosen(encoder: Encoder, images: Tensor, visible: Tensor, fill: None) -> Tensor:
    """Only the patches in use, as one matrix product."""
    batch, channels, size, _ = images.shape
    grid, patch = encoder.grid, size // encoder.grid
    cut = images.reshape(batch, channels, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5)
    chosen = gather(cut.reshape(batch, grid * grid, -1), visible)
    weight, bias = encoder.patch_embed.weight.flatten(1), encoder.patch_embed.bias
    return F.linear(chosen, weight, bias) + gather(encoder.pos_embed.expand(batch, -1, -1), visible)


OPTIMISATIONS: Mapping[str, Switch] = {
    "fused attention": Switch("two products and a softmax", ((F, "scaled_dot_product_attention", _attend),)),
    "fused optimizer": Switch("PyTorch's default AdamW", ((torch.optim, "AdamW", _AdamW),)),
    "gradients in buckets": Switch(
        "gradients copied into DDP's buckets and back",
        ((our_step, "distribute", partial(DistributedDataParallel, broadcast_buffers=False)),),
    ),
    "patches by index": Switch(
        "boolean masks, which the host counts",
        ((cae, "split_patches", _split_by_mask),),
    ),
    "collapse metrics when logged": Switch("in every step", ((our_step, "IS_LOGGED", True),)),
    "one encoder": Switch(
        "a copy for the target, updated in each step", ((CAEModel, "_alignment_target", _encode_with_copy),)
    ),
    "bf16": Switch("float32", (), lambda s: s.at("fp32"), lambda s: s.config.optimization.precision == "bf16"),
    "compiled blocks": Switch("eager", (), lambda s: s._replace(compiled=False), lambda s: s.compiled),
}
TRIED: Mapping[str, Switch] = {
    "only patches in use embedded": Switch("one product of chosen patches", ((Encoder, "embed", _embed_chosen),)),
}


def bench_ablate(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Times relative to our step: without each optimisation, and with each one that was not kept."""
    switches = {name: s for name, s in {**OPTIMISATIONS, **TRIED}.items() if s.applies(settings)}
    things = {name: _stepper(switch, settings, device) for name, switch in {"ours": Switch(""), **switches}.items()}
    times = interleave(things, device, warm_up=settings.warm_up, repeats=settings.repeats)
    return {
        "seconds": {name: seconds.median for name, seconds in times.items()},
        "rounds": {name: list(seconds.rounds) for name, seconds in times.items()},
        "over_ours": {
            name: {
                "kept": name in OPTIMISATIONS,
                "what": switch.what,
                **paired(times[name], times["ours"])._asdict(),
            }
            for name, switch in switches.items()
        },
    }


def _stepper(switch: Switch, settings: Settings, device: torch.device) -> Callable[[], object]:
    """A step that is built and run with the change applied."""
    with patched(switch.patches):
        ours, batch = build(switch.settings(settings), device)

    def step() -> None:
        with patched(switch.patches):
            ours(batch)

    return step
