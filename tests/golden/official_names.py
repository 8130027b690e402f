"""From the official names of six methods' parameters to ours: how their reference files are read."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

Names = tuple[tuple[str, str], ...]
ENCODER: Names = (
    (r"patch_embed\.proj\.", "patch_embed."),
    (r"\.gamma_([12])$", r".ls\1.gamma"),
    (r"^(cls_token|pos_embed|patch_embed|blocks|norm)\b", r"encoder.\1"),
)
BRANCHES: Names = (
    (r"^(student|teacher)/", r"\1."),
    (r"\.backbone\.patch_embed\.proj\.", ".encoder.patch_embed."),
    (r"\.backbone\.", ".encoder."),
    (r"^student\.encoder\.masked_embed$", "mask_token"),
    (r"\.last_layer2\.", ".last_layer."),  # one head for class token and patches
    (r"\.last_layer\.weight_v$", ".prototypes.weight"),
    (r"\.last_layer\.weight_g$", ".lengths"),
)
NAMES: Mapping[str, Names] = {  # applied in order
    "mae": (
        *ENCODER,
        (r"^mask_token$", "decoder.mask_token"),
        (r"^decoder_pos_embed$", "decoder.positions"),
        (r"^decoder_blocks\.", "decoder.stack.blocks."),
        (r"^decoder_norm\.", "decoder.stack.norm."),
        (r"^decoder_pred\.", "decoder.head."),
        (r"^decoder_", "decoder."),
    ),
    "beit": (
        *ENCODER,
        (r"^rel_pos_bias\.relative_position_bias_table$", "encoder.relative_position_biases.0.table"),
        (r"^lm_head\.", "head."),
    ),
    "deit": ENCODER,
    "moco_v3": (
        (r"^base_encoder\.", "online."),
        (r"^momentum_encoder\.", "momentum."),
        (r"\.patch_embed\.proj\.", ".patch_embed."),
        (r"\.head\.", ".projector."),
        (r"^(online|momentum)\.(cls_token|pos_embed|patch_embed|blocks|norm)\b", r"\1.encoder.\2"),
    ),
    "dino": BRANCHES,
    "ibot": BRANCHES,
}
COUNTED = re.compile(r"(num_batches_tracked|relative_position_index)$")  # no weights
Q_OR_V = re.compile(r"attn\.([qv])_bias$")


def rename(method: str, name: str) -> str:
    """Our name of an official one; q and v biases are both thirds of `qkv.bias`."""
    for pattern, ours in NAMES[method]:
        name = re.sub(pattern, ours, name)
    return Q_OR_V.sub("attn.qkv.bias", name)


def part(name: str, tensor: Tensor) -> Tensor:
    """What of our tensor an official name stands for."""
    found = Q_OR_V.search(name)
    return tensor.chunk(3)["qkv".index(found[1])] if found else tensor


def load(method: str, module: nn.Module, official: Mapping[str, Tensor]) -> None:
    """Give a method the official weights. Each parameter must get one; keys without a bias get zeros."""
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    given = set[str]()
    for name, tensor in official.items():
        if COUNTED.search(name):
            continue
        ours = rename(method, name)
        if ours not in state:
            assert ours.endswith(".lengths") and bool((tensor == 1).all()), f"{name}: no tensor of ours is {ours}"
            continue
        if Q_OR_V.search(name) and ours not in given:
            state[ours].zero_()
        target = part(name, state[ours])
        rows = target.shape[1] if target.ndim == 3 else 0  # fixed positions: zeros for the class token come first
        target.copy_(tensor[:, -rows:] if tensor.ndim == 3 else tensor.reshape(target.shape))
        given.add(ours)
    missing = {name for name, _ in module.named_parameters()} - given
    assert not missing, f"no official tensor for {sorted(missing)}"
    module.load_state_dict(state)
