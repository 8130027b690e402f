"""Files of DINOv2, I-JEPA, CLIP, SigLIP and CAE v2, from timm's networks by code that the loader does not share."""

import re
from functools import partial

import torch
from timm.layers.activations import QuickGELU
from timm.layers.mlp import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import nn

SIZES = {"img_size": 84, "patch_size": 14, "embed_dim": 64, "depth": 3, "num_heads": 4, "num_classes": 0}


def network(seed=0, **options):
    """A network of timm's at a size that no reference file has, with every weight random."""
    torch.manual_seed(seed)
    model = VisionTransformer(**{**SIZES, **options}).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.1)
    return model


def dinov2(**options):
    return network(init_values=0.1, **options)


def dinov2_registers(**options):
    return dinov2(reg_tokens=4, no_embed_class=True, **options)


def dinov2_swiglu(**options):
    return dinov2(mlp_layer=SwiGLUPacked, mlp_ratio=2 * 176 / 64, act_layer=nn.SiLU, **options)


def ijepa(**options):
    model = network(class_token=False, global_pool="avg", fc_norm=False, **options)
    side = SIZES["img_size"] // SIZES["patch_size"]
    model.pos_embed.copy_(columns_first(side, SIZES["embed_dim"]))
    return model


def clip(activation="quick_gelu", **options):
    act_layer = {"quick_gelu": QuickGELU, "gelu": nn.GELU}[activation]
    return network(pre_norm=True, act_layer=act_layer, norm_layer=partial(nn.LayerNorm, eps=1e-5), **options)


def siglip(**options):
    tanh = partial(nn.GELU, approximate="tanh")
    return network(class_token=False, global_pool="map", act_layer=tanh, mlp_ratio=3.75, **options)


def columns_first(grid, dim):
    """I-JEPA's fixed positions, as MAE's."""
    omega = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim / 4.0))
    rows, columns = torch.meshgrid(torch.arange(grid).double(), torch.arange(grid).double(), indexing="ij")
    parts = [f(axis.reshape(-1, 1) * omega) for axis in (columns, rows) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, dim=1).float()[None]


def released_dinov2(model, chunks=0):
    """The names of the released `.pth`; in chunks a block has the chunk's number before its own."""
    state = {}
    for name, tensor in model.state_dict().items():
        if model.blocks[0].mlp.fc1.out_features != model.blocks[0].mlp.fc2.in_features:
            name = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        state[name.replace("reg_token", "register_tokens")] = tensor.clone()
    if "register_tokens" in state:  # the class token's position is a row of the positions again
        position = torch.full_like(state["cls_token"], 0.25)
        state["cls_token"] -= position
        state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    state["mask_token"] = torch.ones(1, SIZES["embed_dim"])
    per_chunk = SIZES["depth"] // chunks if chunks else 0
    return {
        re.sub(r"^blocks\.(\d+)\.", lambda found: f"blocks.{int(found[1]) // per_chunk}.{found[1]}.", name)
        if chunks
        else name: tensor
        for name, tensor in state.items()
    }


def hugging_face_dinov2(model, prefix=""):
    """transformers' names, with SwiGLU."""
    state, dim = {}, SIZES["embed_dim"]
    for name, tensor in released_dinov2(model).items():
        name = re.sub(r"^(cls_token|mask_token|register_tokens)$", r"embeddings.\1", name)
        name = name.replace("pos_embed", "embeddings.position_embeddings")
        name = name.replace("patch_embed.proj.", "embeddings.patch_embeddings.projection.")
        name = re.sub(r"^norm\.", "layernorm.", name).replace("blocks.", "encoder.layer.")
        name = re.sub(r"\.ls([12])\.gamma", r".layer_scale\1.lambda1", name).replace(
            "attn.proj", "attention.output.dense"
        )
        name = name.replace("mlp.w12", "mlp.weights_in").replace("mlp.w3", "mlp.weights_out")
        if ".attn.qkv." in name:
            for part, rows in zip(("query", "key", "value"), tensor.split(dim), strict=True):
                state[prefix + name.replace("attn.qkv", f"attention.attention.{part}")] = rows.clone()
        else:
            state[prefix + name] = tensor
    return state


def released_ijepa(model):
    """The raw training file: the encoder, its average, and the predictor."""
    target = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    context = {name: tensor + 1.0 for name, tensor in target.items() if name != "module.pos_embed"}
    predictor = {"module.predictor_embed.weight": torch.ones(4, 64), "module.mask_token": torch.ones(1, 1, 4)}
    pos = {"module.pos_embed": target["module.pos_embed"]}
    return {"encoder": {**context, **pos}, "predictor": predictor, "target_encoder": target, "opt": {}, "epoch": 300}


def openai_clip(model, text=True):
    """openai/CLIP's state dict, as open_clip's."""
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("patch_embed.proj", "conv1").replace("norm_pre", "ln_pre")
        name = re.sub(r"^norm\.", "ln_post.", name).replace("blocks.", "transformer.resblocks.")
        name = re.sub(r"\.norm([12])\.", r".ln_\1.", name).replace("attn.qkv.", "attn.in_proj_")
        name = (
            name.replace("attn.proj", "attn.out_proj").replace("mlp.fc1", "mlp.c_fc").replace("mlp.fc2", "mlp.c_proj")
        )
        if name == "cls_token":
            name, tensor = "class_embedding", tensor[0, 0]
        if name == "pos_embed":
            name, tensor = "positional_embedding", tensor[0]
        state[f"visual.{name}"] = tensor
    if not text:
        return state
    return {
        **state,
        "visual.proj": torch.ones(64, 32),
        "positional_embedding": torch.ones(77, 32),
        "text_projection": torch.ones(32, 32),
        "logit_scale": torch.ones(()),
        "token_embedding.weight": torch.ones(10, 32),
        "transformer.resblocks.0.ln_1.weight": torch.ones(32),
        "transformer.resblocks.0.attn.in_proj_weight": torch.ones(96, 32),
        "ln_final.weight": torch.ones(32),
    }


def cae_v2(state, dim=48):
    """The raw training file around an encoder's tensors: a regressor, and a decoder without blocks."""
    return {
        "model": {
            **{f"encoder.{name}": tensor for name, tensor in state.items()},
            "mask_token": torch.ones(1, 1, dim),
            "rd_pos_embed": torch.ones(1, 37, dim),
            "regresser.regressor_blocks.0.norm1_q.weight": torch.ones(dim),
            "regresser.norm.weight": torch.ones(dim),
            "decoder.norm.weight": torch.ones(dim),
            "decoder.head.weight": torch.ones(512, dim),
        },
        "optimizer": {},
        "epoch": 299,
    }
