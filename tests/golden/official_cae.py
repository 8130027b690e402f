"""The official CAE training checkpoint (Atten4Vis/CAE, lxtGH/CAE) and how its names map to ours.

Official names spell the regressor in two ways (`regresser.regressor_blocks`), have separate q and v biases, and include
a copy of the encoder (`alignment_encoder`, `teacher`) that always equals it and is not read. This module reads the full
network; `checkpoints` reads only the encoder.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from caebench.checkpoints.encoder_file import misfits
from caebench.checkpoints.fusing import fuse_biases
from caebench.checkpoints.reading import read
from caebench.methods.cae import CAEModel
from caebench.specs.methods.cae import CAE
from caebench.specs.targets import DALLETarget
from caebench.specs.variants import Variant

COPIES = ("alignment_encoder.", "teacher.")
POSITIONS = ("encoder.pos_embed", "rd_pos_embed")
RENAMED = [  # official -> ours, applied in this order
    (r"^regresser\.regressor_blocks\.", "regressor.blocks."),
    (r"^regresser\.", "regressor."),
    (r"^decoder\.decoder_blocks\.", "decoder.stack.blocks."),
    (r"^decoder\.norm\.", "decoder.stack.norm."),
    (r"^encoder\.patch_embed\.proj\.", "encoder.patch_embed."),
    (r"^encoder_to_regresser\.", "to_latent.0."),
    (r"^encoder_to_regresser_norm\.", "to_latent.1."),
    (r"\.gamma_([12])(_cross)?$", r".ls\1.gamma"),
    (r"\.cross_attn\.([qv])_bias$", r".attn.\1.bias"),
    (r"\.cross_attn\.", ".attn."),
    (r"\.mlp_cross\.", ".mlp."),
    (r"\.norm1_([qkv])\.", r".norm_\1."),
    (r"\.norm2_cross\.", ".norm_mlp."),
]


def rename(name: str) -> str:
    """Our name for an official one."""
    for pattern, ours in RENAMED:
        name = re.sub(pattern, ours, name)
    return name


def to_ours(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An official state dict under our names, without the copies of the encoder."""
    state = {name: value for name, value in official.items() if not name.startswith(COPIES)}
    for name in POSITIONS:  # there they begin with zeros for the class token
        if name in state:
            ours = {"rd_pos_embed": "latent_pos"}.get(name, name)
            state[ours] = state.pop(name)[:, 1:]
    return fuse_biases({rename(name): value for name, value in state.items()})


def load_official(path: str | Path, num_heads: int) -> CAEModel:
    """A model with the weights of a raw training file of the official code (Atten4Vis/CAE); in eval mode.

    Raises:
        ValueError: the file is not such a checkpoint, or a tensor is missing, unexpected or of another shape.
    """
    state = to_ours(read_checkpoint(Path(path)))
    try:
        variant, image_size, config = infer(state, num_heads)
    except KeyError as error:
        raise ValueError(
            f"{path}: not a raw CAE training checkpoint: no tensor {error}. "
            "Encoder-only releases have no regressor and decoder. Give the file that the training script wrote."
        ) from error
    model = CAEModel(config, variant, image_size)
    if wrong := misfits(model.state_dict(), state):
        raise ValueError(f"{path}: {len(wrong)} tensors do not fit: {'; '.join(wrong[:5])}")
    model.load_state_dict(state)
    return model.eval()


def read_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """The `model` entry of a checkpoint; unpickles tensors and plain containers only."""
    entries = read(path).entries
    if not isinstance(entries.get("model"), dict):
        raise ValueError(f"{path}: no entry 'model'. An official CAE training file has one.")
    return entries["model"]


def infer(state: Mapping[str, Tensor], num_heads: int) -> tuple[Variant, int, CAE]:
    """Sizes from shapes. The number of heads cannot be read from a state dict."""
    dim, _, patch_size, _ = state["encoder.patch_embed.weight"].shape
    grid = round(state["encoder.pos_embed"].shape[1] ** 0.5)
    variant = Variant(dim, _depth(state, "encoder.blocks"), num_heads, patch_size)
    config = CAE(
        kind="cae",
        target=DALLETarget(kind="dalle", vocabulary=len(state["decoder.head.bias"])),
        regressor_depth=_depth(state, "regressor.blocks"),
        decoder_depth=_depth(state, "decoder.stack.blocks"),
        latent_dim=state["mask_token"].shape[-1],
        latent_num_heads=num_heads,
        drop_path=0.0,
    )
    return variant, grid * patch_size, config


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[prefix.count(".") + 1] for name in state if name.startswith(prefix + ".")})
