"""Pretraining, and the encoder that was never trained."""

from typing import Any

from caebench.checkpoints.encoder_file import save_encoder
from caebench.data.loading import Samples
from caebench.data.randomness import Purpose, derive, seeded
from caebench.data.samples.cached_codes import CachedSample
from caebench.files.layout import ENCODER, MODEL
from caebench.methods.beit import BEiTMethod
from caebench.methods.builders import build_method
from caebench.methods.cae import CAEMethod
from caebench.methods.method import Method
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder
from caebench.specs.identity import kind_of
from caebench.specs.inputs.random_encoder import RandomEncoder
from caebench.specs.methods.base import Method as MethodConfig
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS
from caebench.tasks.codes import load_target, open_cache, verify
from caebench.training.checkpoint import save
from caebench.training.optim import split_decay
from caebench.training.run import Run
from caebench.training.sharding import full_state, shard
from caebench.training.trainer import Training, fit

Result = dict[str, Any]


def pretrain(config: Pretrain, run: Run) -> Result:
    """Train the method on the training split; leaves `encoder.safetensors` and `model.pt`."""
    split = run.open_split(config.data, "train")
    tokenizer = load_tokenizer(config.method, run)
    method = build_method(config, tokenizer)
    num_parameters = method.num_parameters
    run.adapt([*method.blocks, *([tokenizer] if tokenizer else [])])
    if run.site.shard and method.shardable:
        shard(method, method.blocks, run.group)
    make_sample = method.make_sampler(config)
    training = Training(
        module=method,
        groups=split_decay(method),
        config=config.optimization,
        samples=Samples(split, make_sample, run.site.resize),
        seed=config.seed,
        per_device=_per_device(method, config, run),
        batch_multiple=method.batch_multiple,
        repeats=method.repeats,
        hooks=method,
    )
    if tokenizer is not None and (cache := open_cache(run, len(split.entries))) is not None:
        verify(cache, training, tokenizer, run)
        training.samples = Samples(split, CachedSample(make_sample, cache), run.site.resize)
        if cache.config.epochs >= config.optimization.epochs and isinstance(method, CAEMethod | BEiTMethod):
            method.tokenizer.clear()
            del tokenizer
    fit(training, run)
    states = full_state([method.pretrained.state_dict(), method.network.state_dict()], keep=run.group.is_main)
    if run.group.is_main:
        save_encoder(method.pretrained, run.folder / ENCODER, states[0])
        save(run.folder / MODEL, states[1])
    return {"num_parameters": num_parameters}


def _per_device(method: Method, config: Pretrain, run: Run) -> int | None:
    """The most samples that a device takes at once; None where the whole share must go at once, and does.

    Raises:
        ValueError: it must, and does not fit.
    """
    fits, share = run.site.most_images(VARIANTS[config.variant]), config.optimization.global_batch // run.group.size
    if not method.needs_full_batch:
        return fits
    if share > fits:
        raise ValueError(
            f"per_device_batch {fits}: the loss of {kind_of(config.method)} contrasts a whole batch, so the share of a "
            f"process, {share} images, cannot be accumulated. Use more processes, or raise per_device_batch."
        )
    return None


def random_encoder(config: RandomEncoder, run: Run) -> Result:
    """Initialise an encoder exactly as CAE's pretraining does, and leave it so."""
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        encoder = Encoder(VARIANTS[config.variant], config.image_size, layer_scale=config.layer_scale)
    if run.group.is_main:
        save_encoder(encoder, run.folder / ENCODER)
    return {"num_parameters": sum(p.numel() for p in encoder.parameters())}


def load_tokenizer(method: MethodConfig, run: Run) -> Tokenizer | None:
    """The tokenizer that a finished job left; none where the targets are no codes."""
    target = getattr(method, "target", None)
    return None if target is None else load_target(target, run)
