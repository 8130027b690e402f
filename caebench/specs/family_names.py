"""The key names of hubs and other projects, and ours: pattern -> replacement, the first that changes a name counts."""

from caebench.specs.family import BLOCK_TABLE, SHARED_TABLE, Names

HF_BLOCK = r"^encoder\.layer\.(\d+)\."
HF_NAMES: Names = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed."),
    (HF_BLOCK + r"layernorm_before\.", r"blocks.\1.norm1."),
    (HF_BLOCK + r"layernorm_after\.", r"blocks.\1.norm2."),
    (HF_BLOCK + r"attention\.attention\.(q|k|v)(?:uery|ey|alue)\.", r"blocks.\1.attn.\2."),
    (HF_BLOCK + r"attention\.attention\.relative_position_bias\.relative_position_bias_table$", BLOCK_TABLE),
    (HF_BLOCK + r"attention\.output\.dense\.", r"blocks.\1.attn.proj."),
    (HF_BLOCK + r"intermediate\.dense\.", r"blocks.\1.mlp.fc1."),
    (HF_BLOCK + r"output\.dense\.", r"blocks.\1.mlp.fc2."),
    (HF_BLOCK + r"lambda_([12])$", r"blocks.\1.ls\2.gamma"),
    (r"^encoder\.relative_position_bias\.relative_position_bias_table$", SHARED_TABLE),
    (r"^layernorm\.", "norm."),
)
MM_BLOCK = r"^layers\.(\d+)\."
MM_NAMES: Names = (
    (r"^patch_embed\.projection\.", "patch_embed."),
    (MM_BLOCK + r"ln([12])\.", r"blocks.\1.norm\2."),
    (MM_BLOCK + r"attn\.gamma1\.weight$", r"blocks.\1.ls1.gamma"),
    (MM_BLOCK + r"ffn\.gamma2\.weight$", r"blocks.\1.ls2.gamma"),
    (MM_BLOCK + r"gamma_([12])$", r"blocks.\1.ls\2.gamma"),
    (MM_BLOCK + r"ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (MM_BLOCK + r"ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (MM_BLOCK + r"attn\.relative_position_bias_table$", BLOCK_TABLE),
    (MM_BLOCK + r"attn\.", r"blocks.\1.attn."),
    (r"^rel_pos_bias\.relative_position_bias_table$", SHARED_TABLE),
    (r"^ln1\.", "norm."),
)
HF_LATER = r"^encoder\.layers\.(\d+)\."  # CLIP's and SigLIP's blocks
HF_TOWER: Names = (
    (r"^embeddings\.class_embedding$", "cls_token"),
    (r"^embeddings\.patch_embedding\.", "patch_embed."),
    (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^pre_layrnorm\.", "norm_before."),
    (HF_LATER + r"layer_norm([12])\.", r"blocks.\1.norm\2."),
    (HF_LATER + r"self_attn\.(q|k|v)_proj\.", r"blocks.\1.attn.\2."),
    (HF_LATER + r"self_attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (HF_LATER + r"mlp\.", r"blocks.\1.mlp."),
    (r"^post_layernorm\.", "norm."),
)
HF_DINOV2: Names = (
    (r"^embeddings\.register_tokens$", "registers"),
    (HF_BLOCK + r"norm([12])\.", r"blocks.\1.norm\2."),
    (HF_BLOCK + r"layer_scale([12])\.lambda1$", r"blocks.\1.ls\2.gamma"),
    (HF_BLOCK + r"mlp\.weights_in\.", r"blocks.\1.mlp.fc1."),
    (HF_BLOCK + r"mlp\.weights_out\.", r"blocks.\1.mlp.fc2."),
    (HF_BLOCK + r"mlp\.", r"blocks.\1.mlp."),
    *HF_NAMES,
)
OPENAI_BLOCK = r"^visual\.transformer\.resblocks\.(\d+)\."
OPENAI_NAMES: Names = (  # openai/CLIP clip/model.py; open_clip has the same
    (r"^visual\.class_embedding$", "cls_token"),
    (r"^visual\.conv1\.", "patch_embed."),
    (r"^visual\.positional_embedding$", "pos_embed"),
    (r"^visual\.ln_pre\.", "norm_before."),
    (OPENAI_BLOCK + r"ln_([12])\.", r"blocks.\1.norm\2."),
    (OPENAI_BLOCK + r"attn\.in_proj_", r"blocks.\1.attn.qkv."),
    (OPENAI_BLOCK + r"attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (OPENAI_BLOCK + r"mlp\.c_fc\.", r"blocks.\1.mlp.fc1."),
    (OPENAI_BLOCK + r"mlp\.c_proj\.", r"blocks.\1.mlp.fc2."),
    (r"^visual\.ln_post\.", "norm."),
)
DINOV2_BLOCK = r"^blocks\.(?:\d+\.)?(\d+)\."  # a file of chunked blocks has the chunk's number first
DINOV2_NAMES: Names = (  # facebookresearch/dinov2 dinov2/models/vision_transformer.py, layers/swiglu_ffn.py
    (r"^register_tokens$", "registers"),
    (r"^patch_embed\.proj\.", "patch_embed."),
    (DINOV2_BLOCK + r"mlp\.w12\.", r"blocks.\1.mlp.fc1."),
    (DINOV2_BLOCK + r"mlp\.w3\.", r"blocks.\1.mlp.fc2."),
    (DINOV2_BLOCK, r"blocks.\1."),
)
