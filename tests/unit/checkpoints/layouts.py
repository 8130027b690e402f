"""Files in the layouts of other projects, written from an encoder of ours by code that the loader does not share."""

import re
from zipfile import ZIP_STORED, ZipFile

import torch

from caebench.models.attention import build_index
from caebench.models.vit import Encoder
from caebench.specs.variants import Variant

SMALL = Variant(48, 2, 3, 16)


def make(variant=SMALL, image_size=96, seed=0, **options):
    """An encoder with every weight random: no zero hides a lost key."""
    torch.manual_seed(seed)
    encoder = Encoder(variant, image_size, **options).eval().requires_grad_(False)
    for name, tensor in encoder.named_parameters():
        torch.nn.init.normal_(tensor, 1.0 if "norm" in name and "weight" in name else 0.0, 0.1)
    return encoder


def without_key_biases(encoder):
    """As BEiT's code trains it: keys have no bias."""
    for block in encoder.blocks:
        dim = encoder.variant.dim
        block.attn.qkv.bias[dim : 2 * dim] = 0
    return encoder


def plain(encoder, class_position=0.25, gamma="ls"):
    """timm's names; the class token's position is split off again."""
    state = {}
    for name, tensor in encoder.state_dict().items():
        if name.startswith("patch_embed."):
            name = name.replace("patch_embed.", "patch_embed.proj.")
        if gamma == "gamma":
            name = re.sub(r"ls([12])\.gamma$", r"gamma_\1", name)
        state[name] = tensor.clone()
    position = torch.full_like(state["cls_token"], class_position)
    state["cls_token"] -= position
    state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    return state


def beit(encoder, gamma="gamma"):
    """BEiT's names: q and v biases, tables of bias with their index, no positions."""
    state = plain(encoder, gamma=gamma)
    if encoder.positions == "none":
        state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
        del state["pos_embed"]
    for name in [name for name in state if name.endswith("qkv.bias")]:
        q, _, v = state.pop(name).chunk(3)
        state[name.replace("qkv.bias", "q_bias")], state[name.replace("qkv.bias", "v_bias")] = q, v
    shared = encoder.relative_position_bias == "shared"
    for name in [name for name in state if name.startswith("relative_position_biases")]:
        stem = "rel_pos_bias" if shared else f"blocks.{name.split('.')[1]}.attn"
        state[f"{stem}.relative_position_bias_table"] = state.pop(name)
        state[f"{stem}.relative_position_index"] = build_index((encoder.grid, encoder.grid))
    return state


def hugging_face(encoder, prefix="vit."):
    """The names of ViTModel, or of BeitModel where there is layer scale or a bias."""
    dim, state = encoder.variant.dim, {}
    for name, tensor in (beit(encoder) if prefix == "beit." else plain(encoder)).items():
        name = name.replace("patch_embed.proj.", "embeddings.patch_embeddings.projection.")
        name = re.sub(r"^cls_token$", "embeddings.cls_token", name)
        name = re.sub(r"^pos_embed$", "embeddings.position_embeddings", name)
        name = re.sub(r"^norm\.", "layernorm.", name)
        name = name.replace("rel_pos_bias.", "encoder.relative_position_bias.")
        name = name.replace(".norm1.", ".layernorm_before.").replace(".norm2.", ".layernorm_after.")
        name = name.replace(".attn.proj.", ".attention.output.dense.").replace(".mlp.fc1.", ".intermediate.dense.")
        name = re.sub(r"\.gamma_([12])$", r".lambda_\1", name.replace(".mlp.fc2.", ".output.dense."))
        name = re.sub(r"\.attn\.relative", ".attention.attention.relative_position_bias.relative", name)
        name = name.replace("blocks.", "encoder.layer.")
        if ".attn.qkv." in name:
            for part, rows in zip(("query", "key", "value"), tensor.split(dim), strict=True):
                state[prefix + name.replace(".attn.qkv.", f".attention.attention.{part}.")] = rows
        elif name.endswith((".q_bias", ".v_bias")):
            part = "query" if name.endswith("q_bias") else "value"
            state[f"{prefix}{name[: -len('.attn.q_bias')]}.attention.attention.{part}.bias"] = tensor
        else:
            state[prefix + name] = tensor
    return state


def maskfeat(encoder):
    """PySlowFast's: the final norm is the prediction head's."""
    state = {re.sub(r"^norm\.", "pred_head.transforms.0.0.", name): t for name, t in plain(encoder).items()}
    extra = {"mask_token": torch.ones(1, 1, 48), "pred_head.projections.0.weight": torch.ones(108, 48)}
    hogs = {"hogs.0.weight_x": torch.ones(3, 1, 3, 3), "pred_head.projections.0.bias": torch.ones(108)}
    return {"epoch": 299, "model_state": {**state, **extra, **hogs}, "optimizer_state": {}, "cfg": "TASK: ssl"}


def mae_positions(grid, dim):
    """MAE's fixed positions, in float64: columns first."""
    omega = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim / 4.0))
    rows, columns = torch.meshgrid(torch.arange(grid).double(), torch.arange(grid).double(), indexing="ij")
    parts = [f(axis.reshape(-1, 1) * omega) for axis in (columns, rows) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, dim=1).float()[None]


def write_archive(path, pickled, records=None, compression=ZIP_STORED):
    """A zip archive as `torch.save` writes it, around a pickle by hand."""
    content = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", **(records or {})}
    with ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(f"archive/{name}", data)
    return path
