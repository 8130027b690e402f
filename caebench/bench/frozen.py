"""The probes' frozen encoder compared with a plain one, and the time of a step of each head."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caebench.bench.peak import measure_peak
from caebench.bench.reference import PlainEncoder
from caebench.bench.settings import Settings
from caebench.bench.timing import interleave, paired
from caebench.models.heads import AttentiveHead, LinearHead
from caebench.models.vit import Encoder
from caebench.specs.arithmetic import encode
from caebench.specs.evaluations.attentive_probe import attentive_probe
from caebench.specs.evaluations.linear_probe import linear_probe
from caebench.specs.methods.cae import cae_of
from caebench.specs.variants import VARIANTS
from caebench.training.optim import make_optimizer, split_decay
from caebench.training.step import autocast

CLASSES = 1000


def make_encoder(settings: Settings, device: torch.device) -> Encoder:
    """The encoder, frozen."""
    torch.manual_seed(0)
    variant, size = VARIANTS[settings.config.variant], settings.config.image_size
    encoder = (
        Encoder(variant, size, layer_scale=cae_of(settings.config).layer_scale).to(device).eval().requires_grad_(False)
    )
    for block in encoder.blocks if settings.compiled else []:
        block.compile()
    return encoder


def make_images(settings: Settings, device: torch.device) -> Tensor:
    """Noise in the place of images."""
    size = settings.config.image_size
    return torch.randn(settings.batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)


def forward(settings: Settings, device: torch.device) -> Callable[[], Tensor]:
    """Our frozen encoder on a batch that is already on the device."""
    encoder, images = make_encoder(settings, device), make_images(settings, device)

    @torch.no_grad()
    def encode_batch() -> Tensor:
        with autocast(device, settings.config.optimization.precision):
            return encoder(images)

    return encode_batch


def _plain_forward(settings: Settings, device: torch.device) -> Callable[[], Tensor]:
    ours, images = make_encoder(settings._replace(compiled=False), device), make_images(settings, device)
    plain = PlainEncoder(ours.variant, ours.image_size, 0.1, 0.0).to(device).eval()
    plain.load_state_dict(ours.state_dict())
    everything = torch.ones(len(images), ours.num_patches, dtype=torch.bool, device=device)
    half = settings.config.optimization.precision != "fp32"

    @torch.no_grad()
    def encode_batch() -> Tensor:
        with torch.autocast(device.type, torch.float16, enabled=half):
            return plain.encode(images, everything, None)

    return encode_batch


def flops(settings: Settings) -> float:
    """FLOP of one image's forward pass, counted as in the plan."""
    return 2.0 * encode(VARIANTS[settings.config.variant], settings.config.image_size)


def bench_probe(settings: Settings, device: torch.device) -> dict[str, Any]:
    """The encoder interleaved with a plain one, then each head alone on precomputed features."""
    ours, plain = forward(settings, device), _plain_forward(settings, device)
    differ = float((ours().float() - plain().float()).abs().max())
    times = interleave({"ours": ours, "reference": plain}, device, warm_up=settings.warm_up, repeats=settings.repeats)
    peak = measure_peak(device, settings.config.optimization.precision)
    ratio, per_batch = paired(times["ours"], times["reference"]), flops(settings) * settings.batch
    return {
        "seconds": {name: seconds.median for name, seconds in times.items()},
        "rounds": {name: list(seconds.rounds) for name, seconds in times.items()},
        "images_per_second": {name: settings.batch / seconds.median for name, seconds in times.items()},
        "time_ratio": ratio._asdict(),
        "speedup": 1.0 / ratio.median,
        "largest_difference": differ,
        "flops_per_image": flops(settings),
        "peak_flops_per_second": peak,
        "share_of_peak": {name: per_batch / seconds.median / peak for name, seconds in times.items()},
        "heads": _bench_heads(settings, device, ours().float()),
    }


def _bench_heads(settings: Settings, device: torch.device, tokens: Tensor) -> dict[str, Any]:
    variant = VARIANTS[settings.config.variant]
    attentive = AttentiveHead(variant.dim, variant.num_heads, CLASSES)
    things = {
        "linear": _head_step(LinearHead(variant.dim, CLASSES).to(device), tokens[:, 0], linear_probe()),
        "attentive": _head_step(attentive.to(device), tokens, attentive_probe()),
    }
    times = interleave(things, device, warm_up=settings.warm_up, repeats=settings.repeats)
    return {name: {"images_per_second": settings.batch / seconds.median} for name, seconds in times.items()}


def _head_step(head: nn.Module, features: Tensor, probe: Any) -> Callable[[], None]:
    labels = torch.arange(len(features), device=features.device) % CLASSES
    optimizer = make_optimizer(probe.optimization, split_decay(head))

    def step() -> None:
        F.cross_entropy(head(features).float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
