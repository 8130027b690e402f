"""CAE's pretraining step compared with a plain reference: time, losses, stages, memory, share of peak."""

from collections.abc import Callable
from typing import Any

import torch

from caebench.bench.memory import bytes_of, peak_bytes
from caebench.bench.peak import measure_peak
from caebench.bench.reference import PlainEncoder, PlainStep
from caebench.bench.settings import Settings
from caebench.bench.step import OurStep, make_batch, make_tokenizer
from caebench.bench.timing import Seconds, interleave, paired
from caebench.models.vit import Encoder
from caebench.training.step import Batch

SPLITS = 3  # steps that are split into stages


def build(settings: Settings, device: torch.device) -> tuple[OurStep, Batch]:
    """Our step, and a batch for it."""
    tokenizer = None if settings.tokenizer == "none" else make_tokenizer(settings.config)
    ours = OurStep(settings.config, device, compiled=settings.compiled, tokenizer=tokenizer)
    return ours, make_batch(settings.config, settings.batch, device, settings.view_size)


def bench_pretrain(settings: Settings, device: torch.device) -> dict[str, Any]:
    """Both steps interleaved on one batch, from the same weights."""
    ours, batch = build(settings, device)
    half = settings.config.optimization.precision != "fp32"
    plain = PlainStep(ours.method.model, settings.config.optimization, device, half)
    losses: dict[str, list[Any]] = {"ours": [], "reference": []}
    things: dict[str, Callable[[], None]] = {
        "ours": lambda: losses["ours"].append(ours(batch)),
        "reference": lambda: losses["reference"].append(plain(batch, ours.method.tokenizer)),
    }
    first = _compilations(things["ours"])
    things["reference"]()
    times: dict[str, Seconds] = {}
    later = _compilations(
        lambda: times.update(interleave(things, device, warm_up=settings.warm_up, repeats=settings.repeats))
    )
    peak = measure_peak(device, settings.config.optimization.precision)
    states = {"ours": ours.state, "reference": plain.state}
    models = {"ours": ours.method, "reference": plain.model}
    return {
        **summarise(settings, times, peak),
        "losses": compare_losses(losses),
        "stages": split(ours, batch, times["ours"].median),
        "memory": {
            name: {"state_bytes": bytes_of(states[name]), "step_bytes": peak_bytes(things[name], device)}
            for name in things
        },
        "encoders": {
            name: sum(isinstance(m, Encoder | PlainEncoder) for m in model.modules()) for name, model in models.items()
        },
        "compilations": {"first_step": first, "later": later},
    }


def summarise(settings: Settings, times: dict[str, Seconds], peak: float) -> dict[str, Any]:
    """Rates and ratios of ours and the reference."""
    ratio, flops = paired(times["ours"], times["reference"]), settings.flops * settings.batch
    return {
        "seconds": {name: seconds.median for name, seconds in times.items()},
        "rounds": {name: list(seconds.rounds) for name, seconds in times.items()},
        "images_per_second": {name: settings.batch / seconds.median for name, seconds in times.items()},
        "time_ratio": ratio._asdict(),
        "speedup": 1.0 / ratio.median,
        "flops_per_image": settings.flops,
        "peak_flops_per_second": peak,
        "share_of_peak": {name: flops / seconds.median / peak for name, seconds in times.items()},
    }


def compare_losses(losses: dict[str, list[Any]]) -> dict[str, Any]:
    """Each step's loss, and the largest relative difference between the two."""
    ours, theirs = ([float(value) for value in losses[name]] for name in ("ours", "reference"))
    largest = max(abs(one - two) / abs(two) for one, two in zip(ours, theirs, strict=True))
    return {"ours": ours, "reference": theirs, "largest_relative_difference": largest}


def split(ours: OurStep, batch: Batch, median: float) -> dict[str, Any]:
    """The stages of the fastest of a few split steps, and the ratio of their sum to a full step."""
    stages = min((ours.split(batch) for _ in range(SPLITS)), key=lambda seconds: sum(seconds.values()))
    return {"seconds": stages, "sum_over_step": sum(stages.values()) / median}


def _compilations(thing: Callable[[], object]) -> int:
    """The number of graphs that the compiler makes while something runs."""
    from torch._dynamo.utils import counters

    before = counters["stats"]["unique_graphs"]
    thing()
    return counters["stats"]["unique_graphs"] - before
