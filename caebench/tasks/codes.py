"""A tokenizer's codes for the first epochs, written once; and how a pretraining checks what it gets (ADR 19)."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from caebench.checkpoints.dalle import load_dalle
from caebench.data.codes import REMEDY, CodeCache, EpochWriter
from caebench.data.crops import collate
from caebench.data.loaders import Loader
from caebench.data.loading import Key, Samples, Steps
from caebench.data.samples.tokenizer_view import TokenizerView
from caebench.datasets.errors import DataError
from caebench.files.atomic import read_json, write_text
from caebench.files.layout import EPOCHS, MADE_OF, TOKENIZER, epoch_file
from caebench.files.result import read_result
from caebench.models.tokenizer import Tokenizer
from caebench.specs.inputs.code_cache import CODES, Codes
from caebench.specs.mistakes import describe
from caebench.specs.targets import DALLETarget, DVAETarget, Target
from caebench.tasks.dvae import load_dvae
from caebench.training.run import Run, log
from caebench.training.signals import watch_signals
from caebench.training.step import micro_batch, to_device
from caebench.training.trainer import Training


def cache_codes(config: Codes, run: Run) -> dict[str, Any]:
    """Write the epochs that are not there yet; a stop loses the one at work.

    Raises:
        Interrupted: a signal asked for a stop.
    """
    split = run.open_split(config.data, "train")
    tokenizer = load_target(config.target, run)
    assert tokenizer is not None, "only targets that are codes have a cache"
    run.adapt([tokenizer])
    if run.group.is_main:
        _forget_others(config, run)
    samples = Samples(split, TokenizerView(config), run.site.resize)
    present = [run.group.is_main and epoch_file(run.folder, epoch).exists() for epoch in range(config.epochs)]
    missing = [epoch for epoch, there in enumerate(run.group.any(present)) if not there]
    with watch_signals(run.stop):
        for epoch in missing:
            _write_epoch(config, run, samples, tokenizer, epoch)
            run.progress(epoch + 1, config.epochs, {})
    return {"epochs": config.epochs, "image_bytes": config.image_bytes, "num_images": len(samples)}


def _forget_others(config: Codes, run: Run) -> None:
    """Delete what was made with inputs that have been recomputed since."""
    inputs = {role: read_result(path).get("finished") for role, path in sorted(run.inputs.items())}
    now, path = json.dumps({"config": config.model_dump(mode="json"), "inputs": inputs}), run.folder / MADE_OF
    if not path.is_file() or path.read_bytes() != now.encode():
        for old in run.folder.glob(EPOCHS):
            old.unlink()
        write_text(path, now)


def _write_epoch(config: Codes, run: Run, samples: Samples, tokenizer: Tokenizer, epoch: int) -> None:
    group, most = run.group, run.site.per_device_batch
    batches = blocks(len(samples), epoch, group.rank, group.size, most)
    loader = Loader(samples, batch_sampler=batches, num_workers=run.num_workers, collate_fn=collate)
    shape = len(samples), config.num_patches
    with EpochWriter(run.folder, epoch, shape) if group.is_main else nullcontext() as writer:
        first = 0
        for batch in loader:
            codes = group.gather(tokenizer.codes(to_device(batch, run.device)["view"]))
            if writer is not None:
                writer.write(first, codes[: len(samples) - first])
            first += len(codes)
            run.stop_if_asked(f"in epoch {epoch + 1} of {config.epochs}; the epochs before it are saved")


def blocks(num_images: int, epoch: int, rank: int, size: int, most: int) -> list[list[Key]]:
    """A process's batches: every `size`-th image of each block of `most * size`; the last image fills up."""
    found: list[list[Key]] = []
    for first in range(0, num_images, most * size):
        last = min(first + most * size, num_images)
        rows = -(-(last - first) // size)  # the same in every process
        found.append([(epoch, min(first + rank + size * row, num_images - 1)) for row in range(rows)])
    return found


def load_target(target: Target, run: Run) -> Tokenizer | None:
    """The tokenizer that a finished job left; none where the targets are no codes."""
    match target:
        case DALLETarget():
            tokenizer = load_dalle(run.inputs["tokenizer"] / TOKENIZER)
        case DVAETarget(tokenizer=config):
            tokenizer = load_dvae(config, run.inputs["tokenizer"])
        case _:
            return None
    return tokenizer.to(run.device).eval().requires_grad_(False)


def open_cache(run: Run, num_images: int) -> CodeCache | None:
    """The cache of a pretraining; None if there is none, or it was deleted to free disk space."""
    folder = run.optional_inputs.get(CODES)
    if folder is None:
        return None
    cache = CodeCache(folder, _config_of(folder / MADE_OF), num_images)
    log.info("codes of the first %d epochs come from %s", cache.config.epochs, folder)
    return cache


def _config_of(path: Path) -> Codes:
    """What a cache was made as.

    Raises:
        DataError: the file that says so is damaged.
    """
    try:
        return Codes.model_validate(read_json(path, REMEDY.rstrip(".")).get("config"))
    except ValidationError as error:
        raise DataError(path, f"damaged ({describe(error)})", REMEDY) from error


def verify(cache: CodeCache, training: Training, tokenizer: Tokenizer, run: Run) -> None:
    """Compute this process's first batch of the first and the last cached epoch as training would, and compare.

    Raises:
        DataError: a code differs.
    """
    most = cache.config.epochs, training.config.epochs
    micro = micro_batch(training.config.global_batch, run.group, training.per_device, training.batch_multiple)
    for epoch in sorted({0, min(most) - 1}):
        keys = next(iter(_steps(training, run, epoch, micro)))
        batch = to_device(collate([training.samples[key] for key in keys]), run.device)
        ours = tokenizer.codes(batch["view"]).cpu()
        cached = torch.stack([cache.read(key) for key in keys])
        if num_other := int((ours != cached).sum()):
            what = f"{num_other} of {ours.numel()} codes are not those that this job computes"
            raise DataError(epoch_file(cache.folder, epoch), what, REMEDY)


def _steps(training: Training, run: Run, epoch: int, micro: int) -> Steps:
    place: dict[str, Any] = {"rank": run.group.rank, "size": run.group.size}
    batch, first = training.config.global_batch, epoch * training.steps_per_epoch
    return Steps(len(training.samples), batch, seed=training.seed, start=first, stop=first + 1, micro=micro, **place)
