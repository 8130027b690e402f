"""Pretraining, and the encoder that was never trained."""

from typing import Any

import torch

from caebench.config.method import CAE, DALLETarget, DVAETarget
from caebench.config.stage import Pretrain, RandomEncoder
from caebench.config.variants import VARIANTS
from caebench.data.loading import Samples
from caebench.data.randomness import Purpose, derive, seeded
from caebench.methods.cae import CAEModel
from caebench.methods.pretraining import PretrainingSample, PretrainingStep
from caebench.models.checkpoint import ENCODER, save_encoder
from caebench.models.dalle_file import load_dalle
from caebench.models.tokenizer import Tokenizer
from caebench.models.vit import Encoder
from caebench.tasks.dvae import load_dvae
from caebench.tasks.released import WEIGHTS
from caebench.training.loop import Training, fit
from caebench.training.optim import split_decay
from caebench.training.run import Run

Result = dict[str, Any]


def pretrain(config: Pretrain, run: Run) -> Result:
    """Train the method on the training split without labels; leaves `encoder.safetensors` and `model.pt`."""
    split = run.open_split(config.data, "train")
    model, tokenizer = make_model(config), load_tokenizer(config.method, run)
    step = PretrainingStep(model, tokenizer)
    run.compile([*model.encoder.blocks, *([tokenizer] if tokenizer else [])])
    training = Training(
        module=step,
        groups=split_decay(step),
        config=config.optimization,
        samples=Samples(split, PretrainingSample(config, model, tokenizer)),
        seed=config.seed,
        per_device=run.site.most_images(model.encoder.variant),
    )
    fit(training, run)
    if run.group.is_main:
        save_encoder(model.encoder, run.folder / ENCODER)
        torch.save(model.state_dict(), run.folder / "model.pt")
    return {"num_parameters": sum(p.numel() for p in model.parameters())}


def make_model(config: Pretrain) -> CAEModel:
    """The method's model at its start."""
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        return CAEModel(config.method, VARIANTS[config.variant], config.image_size)


def random_encoder(config: RandomEncoder, run: Run) -> Result:
    """Initialise an encoder exactly as pretraining does, and leave it so."""
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        encoder = Encoder(VARIANTS[config.variant], config.image_size, layer_scale=config.layer_scale)
    if run.group.is_main:
        save_encoder(encoder, run.folder / ENCODER)
    return {"num_parameters": sum(p.numel() for p in encoder.parameters())}


def load_tokenizer(method: CAE, run: Run) -> Tokenizer | None:
    """The tokenizer that a finished job left; none where the target is pixels."""
    match method.target:
        case DALLETarget():
            tokenizer = load_dalle(run.inputs["tokenizer"] / WEIGHTS)
        case DVAETarget(tokenizer=config):
            tokenizer = load_dvae(config, run.inputs["tokenizer"])
        case _:
            return None
    return tokenizer.to(run.device).eval().requires_grad_(False)
