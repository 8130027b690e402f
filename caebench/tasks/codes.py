"""A tokenizer's codes for the first epochs, written once; and how a pretraining checks what it gets (ADR 19)."""

import json
import os
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from caebench.config.codes import CODES, Codes
from caebench.config.method import DALLETarget, DVAETarget, Target
from caebench.config.stage import RESULT
from caebench.data.codes import REMEDY, CodeCache, EpochWriter, epoch_file
from caebench.data.crops import CROP, collate
from caebench.data.errors import DataError
from caebench.data.loading import Key, Samples, Steps
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.transforms import Pixels, TwoViews
from caebench.models.dalle_file import load_dalle
from caebench.models.tokenizer import Tokenizer
from caebench.tasks.dvae import load_dvae
from caebench.tasks.released import WEIGHTS
from caebench.training.loop import Training, micro_batch, to_device
from caebench.training.run import Run, log
from caebench.training.signals import SIGNALS, Interrupted, StopRequest, watch_signals

MADE_OF = "made_of.json"  # the config, and which runs of tokenizer and data the files rest on


class TokenizerView:
    """The tokenizer's view of a sample, as in pretraining, and no other."""

    def __init__(self, config: Codes) -> None:
        self.seed = config.seed
        self.views = TwoViews(config.view_size, config.view_size, config.crop_scale_min, config.color_jitter)
        self.takes_pixels = not config.color_jitter

    def __call__(self, image: Image.Image | Pixels, label: int, key: Key) -> dict[str, Any]:
        """The label is not used."""
        with seeded(derive(Purpose.VIEW, self.seed, *key)):
            if isinstance(image, Tensor):
                crop = self.views.cut(image)
                return {CROP: crop._replace(views={"view": crop.views["view"]})}
            return {"view": self.views.tokenizer_view(image)}


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
    with watch_signals() as stop:
        for epoch in missing:
            _write_epoch(config, run, samples, tokenizer, epoch, stop)
            run.progress(epoch + 1, config.epochs, {})
    return {"epochs": config.epochs, "image_bytes": config.image_bytes, "num_images": len(samples)}


def _forget_others(config: Codes, run: Run) -> None:
    """Delete what was made with inputs that have been made anew since."""
    results = {role: json.loads((path / RESULT).read_text(encoding="utf8")) for role, path in run.inputs.items()}
    inputs = {role: result.get("finished") for role, result in sorted(results.items())}
    now, path = json.dumps({"config": config.model_dump(mode="json"), "inputs": inputs}), run.folder / MADE_OF
    if not path.exists() or path.read_text(encoding="utf8") != now:
        for old in run.folder.glob("epoch-*"):
            old.unlink()
        partial = path.with_suffix(".partial")
        partial.write_text(now, encoding="utf8")
        os.replace(partial, path)


def _write_epoch(
    config: Codes, run: Run, samples: Samples, tokenizer: Tokenizer, epoch: int, stop: StopRequest
) -> None:
    group, most = run.group, run.site.per_device_batch
    batches = blocks(len(samples), epoch, group.rank, group.size, most)
    loader = DataLoader(samples, batch_sampler=batches, num_workers=run.num_workers, collate_fn=collate)
    shape = len(samples), config.num_patches
    writer = EpochWriter(run.folder, epoch, shape) if group.is_main else None
    try:
        first = 0
        for batch in loader:
            codes = group.gather(tokenizer.codes(to_device(batch, run.device)["view"]))
            if writer is not None:
                writer.write(first, codes[: len(samples) - first])
            first += len(codes)
            _stop_if_asked(run, stop, f"in epoch {epoch + 1} of {config.epochs}")
        if writer is not None:
            writer.finish()
    except BaseException:
        if writer is not None:
            writer.give_up()
        raise


def blocks(num_images: int, epoch: int, rank: int, size: int, most: int) -> list[list[Key]]:
    """A process's batches: every `size`-th image of each block of `most * size`; the last image fills up."""
    found: list[list[Key]] = []
    for first in range(0, num_images, most * size):
        last = min(first + most * size, num_images)
        rows = -(-(last - first) // size)  # the same in every process
        found.append([(epoch, min(first + rank + size * row, num_images - 1)) for row in range(rows)])
    return found


def _stop_if_asked(run: Run, stop: StopRequest, where: str) -> None:
    heard = run.group.any([stop.name == known.name for known in SIGNALS])
    if name := next((known.name for known, was_heard in zip(SIGNALS, heard, strict=True) if was_heard), None):
        raise Interrupted(f"stopped by {name} {where}; the epochs before it are saved", name)


def load_target(target: Target, run: Run) -> Tokenizer | None:
    """The tokenizer that a finished job left; none where the targets are no codes."""
    match target:
        case DALLETarget():
            tokenizer = load_dalle(run.inputs["tokenizer"] / WEIGHTS)
        case DVAETarget(tokenizer=config):
            tokenizer = load_dvae(config, run.inputs["tokenizer"])
        case _:
            return None
    return tokenizer.to(run.device).eval().requires_grad_(False)


def open_cache(run: Run, num_images: int) -> CodeCache | None:
    """The cache beside a pretraining; None where there is none, or it was deleted to free its disk."""
    folder = run.aids.get(CODES)
    if folder is None:
        return None
    made_of = json.loads((folder / MADE_OF).read_text(encoding="utf8"))
    cache = CodeCache(folder, Codes.model_validate(made_of["config"]), num_images)
    log.info("codes of the first %d epochs come from %s", cache.config.epochs, folder)
    return cache


def verify(cache: CodeCache, training: Training, tokenizer: Tokenizer, run: Run) -> None:
    """Compute this process's first batch of the first and the last cached epoch as training would, and compare.

    Raises:
        DataError: a code differs.
    """
    most = cache.config.epochs, training.config.epochs
    micro = micro_batch(training.config.global_batch, run.group, training.per_device, training.multiple_of)
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
