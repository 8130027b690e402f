"""The layouts of released encoders, as tables: what tells a family, its names and ours, what is left and why.

Patterns see names as `entry/name`: the entry of the file that holds the tensors (empty where the file is the table
itself), then the tensor's name without `module.`. Beside the names stand facts about the content (`facts_of` in
`layout.py`), such as `positions: learnt`. A pattern that begins with `!` must match nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from caebench.config.families import FamilyName

Signs = tuple[str, ...]  # patterns that must all hold
Names = tuple[tuple[str, str], ...]
Parity = Literal["golden", "timm", "source", "own"]

PARITY: Mapping[Parity, str] = {
    "golden": "tokens within 2e-5 of the project's own code, a test (largest difference 3e-6)",
    "timm": "tokens within 2e-5 of timm's own models, a test",
    "source": "layout from source, parity unverified",
    "own": "our own file",
}
SHARED_TABLE = "shared_position_bias.table"  # `relative_position_biases.0.table` in a network of one for all blocks
BLOCK_TABLE = r"relative_position_biases.\1.table"
TIMM_NAMES: Names = (  # timm's and BEiT's -> ours; where both have the same name, none is needed
    (r"^patch_embed\.proj\.", "patch_embed."),
    (r"^(blocks\.\d+)\.gamma_([12])$", r"\1.ls\2.gamma"),
    (r"^rel_pos_bias\.relative_position_bias_table$", SHARED_TABLE),
    (r"^blocks\.(\d+)\.attn\.relative_position_bias_table$", BLOCK_TABLE),
)
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

MASK_TOKEN = (r"^mask_token$", "the mask token: no image that is seen whole has it")
CLASSIFIER = (r"^(head|pre_logits)\.", "a classifier")
INDEX = (r"(^|\.)relative_position_index$", "computed from the grid, and compared with ours")
PROJECTION = (r"^head\.(mlp2?|last_layer2?|last_norm2?)\b", "the projection head of self-distillation")
REFUSED: Names = (
    (
        r"(^|\.)(fc_norm|pooler\.layernorm)\.",
        "it was fine-tuned with mean pooling: its norm stands behind the pooling, so that there is no class token "
        "after a final norm. Give the file from before fine-tuning",
    ),
    (
        r"(^|\.)(dist_token|distillation_token|head_dist)\b",
        "it is a distilled DeiT: a second special token takes part in attention. Give the file without distillation",
    ),
)


@dataclass(frozen=True)
class Family:
    """A layout: how it is told from others, its names, what it leaves."""

    name: FamilyName
    title: str
    layouts: str  # which files are read, for people
    source: str  # where the layout was read
    signs: tuple[Signs, ...]  # a file is this family's if one of them holds; the first family of FAMILIES wins
    claims: tuple[Signs, ...] = ()  # what holds of its files where content cannot tell, and the user names the family
    prefix: str = ""  # before the encoder's names
    names: Names = TIMM_NAMES
    left: Names = ()  # pattern -> why
    norm_eps: float = 1e-6
    parity: Parity = "source"


BEIT_LIKE = (r"/(encoder\.)?blocks\.0\.attn\.q_bias$", r"(rel_pos_bias\.|attn\.)relative_position_bias_table$")
BEIT_LEFT: Names = (
    MASK_TOKEN,
    INDEX,
    (r"^(lm_head|cls_pt_layers)\.", "the prediction head of pretraining"),
    CLASSIFIER,
)
PLAIN = (r"/cls_token$", r"/blocks\.0\.attn\.qkv\.weight$", r"!q_bias$")

FAMILIES: tuple[Family, ...] = (
    Family(
        name="caebench",
        title="caebench's own `encoder.safetensors`",
        layouts="the file of a job",
        source="caebench/models/checkpoint.py",
        signs=((r"^record: encoder$",),),
        names=(),
        parity="own",
    ),
    Family(
        name="hf",
        title="Hugging Face ViT, BEiT, Data2Vec",
        layouts="`model.safetensors`, `pytorch_model.bin`; with or without a head",
        source="huggingface/transformers src/transformers/models/{vit,beit}/convert_*_to_pytorch.py",
        signs=((r"/([\w]+\.)?embeddings\.cls_token$", r"encoder\.layer\.0\.attention\.attention\.query\.weight$"),),
        prefix=r"((vit|beit|deit|data2vec_vision)\.)?",
        names=HF_NAMES,
        left=(
            (r"^(classifier|lm_head|pooler\.dense)\.", "a head"),
            (r"^decoder\.", "the decoder of pretraining"),
            (r"^embeddings\.mask_token$", MASK_TOKEN[1]),
            INDEX,
        ),
        norm_eps=1e-12,  # ViTConfig, BeitConfig: layer_norm_eps
    ),
    Family(
        name="mmpretrain",
        title="MMPretrain, MMSelfSup ViT and BEiT",
        layouts="`state_dict` with `backbone.`",
        source="open-mmlab/mmpretrain mmpretrain/models/backbones/{vision_transformer,beit}.py",
        signs=((r"/(backbone\.)?layers\.0\.ffn\.layers\.0\.0\.weight$",),),
        prefix=r"(backbone\.)?",
        names=MM_NAMES,
        left=(
            (r"^(head|neck|data_preprocessor|target_generator)\.", "not of the backbone"),
            MASK_TOKEN,
            INDEX,
        ),
    ),
    Family(
        name="moco_v3",
        title="MoCo v3",
        layouts="raw `.pth.tar` (`state_dict` with `module.base_encoder.`); its conversion for DeiT",
        source="facebookresearch/moco-v3 vits.py, moco/builder.py, convert_to_deit.py",
        signs=((r"/base_encoder\.cls_token$",), (*PLAIN, r"^positions: fixed, rows first$")),
        prefix=r"(base_encoder\.)?",
        left=(
            (r"^momentum_encoder\.", "the momentum copy: the released results use `base_encoder`"),
            (r"^predictor\.", "the predictor of contrastive learning"),
            (r"^(base_encoder\.)?head\.", "the projection head of contrastive learning, or a classifier"),
        ),
        parity="golden",
    ),
    Family(
        name="maskfeat",
        title="MaskFeat",
        layouts="`model_state` of pretraining; its final norm is the prediction head's",
        source="facebookresearch/SlowFast slowfast/models/{masked,head_helper}.py, configs/masked_ssl",
        signs=((r"/pred_head\.transforms\.0\.0\.weight$", *PLAIN),),
        names=(*TIMM_NAMES, (r"^pred_head\.transforms\.0\.0\.(weight|bias)$", r"norm.\1")),
        left=(
            MASK_TOKEN,
            (r"^pred_head\.projections\.", "the prediction head of pretraining"),
            (r"^hogs\.", "the computation of the target"),
        ),
    ),
    Family(
        name="simmim",
        title="SimMIM (ViT)",
        layouts="`model` with `encoder.` and `decoder.0`",
        source="microsoft/SimMIM models/{simmim,vision_transformer}.py",
        signs=(
            (r"/encoder\.cls_token$", r"/decoder\.0\.(weight|bias)$", r"!pretext_neck|regresser"),
            (r"/encoder\.mask_token$", r"/encoder\.(rel_pos_bias\.|blocks\.0\.attn\.)relative_position_bias_table$"),
        ),
        prefix=r"encoder\.",
        left=(MASK_TOKEN, INDEX, (r"^decoder\.0\.", "the decoder of pretraining")),
        parity="golden",
    ),
    Family(
        name="cae",
        title="CAE",
        layouts="released encoder, and the raw training file of either repository (`model` with `encoder.`)",
        source="Atten4Vis/CAE and lxtGH/CAE models/modeling_cae{,_helper}.py",
        signs=(
            (r"/encoder\.cls_token$", r"/encoder\.blocks\.0\.attn\.q_bias$", r"/encoder\.pos_embed$"),
            (r"^record: official-cae$",),
        ),
        prefix=r"encoder\.",
        left=(
            (r"^mask_token$", MASK_TOKEN[1]),
            (r"^(alignment_encoder|teacher)\.", "a copy of the encoder: the target of alignment"),
            (
                r"^(regresser|pretext_neck|encoder_to_(regresser|decoder)(_norm)?)\.",
                "the regressor, and what leads to it",
            ),
            (r"^decoder\.(decoder_blocks|norm|head)\.", "the decoder of pretraining"),
            (r"^rd_pos_embed$", "positions of regressor and decoder"),
            INDEX,
        ),
        parity="golden",
    ),
    Family(
        name="mae",
        title="MAE",
        layouts="`model`: the released encoder, and the full pretraining file with its decoder",
        source="facebookresearch/mae models_mae.py, util/pos_embed.py",
        signs=(
            (*PLAIN, r"/decoder_embed\.weight$"),
            (*PLAIN, r"^positions: fixed, columns first$"),
        ),
        left=(
            (r"^decoder_(embed|blocks|norm|pred)\.", "the decoder of pretraining"),
            (r"^decoder_pos_embed$", "positions of the decoder"),
            MASK_TOKEN,
            CLASSIFIER,
        ),
        parity="golden",
    ),
    Family(
        name="data2vec",
        title="data2vec (vision)",
        layouts="`model` of pretraining, BEiT's names with a square `lm_head`",
        source="facebookresearch/data2vec_vision beit/{modeling_cyclical,utils}.py",
        signs=((*BEIT_LIKE, r"^lm_head: square$"),),
        left=BEIT_LEFT,
    ),
    Family(
        name="beit",
        title="BEiT",
        layouts="`model` of pretraining: one shared bias; files with a bias a block and a final norm",
        source="microsoft/unilm beit/{modeling_pretrain,modeling_finetune}.py",
        signs=((*BEIT_LIKE, r"^model/"), (*BEIT_LIKE, r"/(mask_token|lm_head\.weight)$")),
        claims=(BEIT_LIKE,),
        left=BEIT_LEFT,
        parity="golden",
    ),
    Family(
        name="peco",
        title="PeCo",
        layouts="BEiT's layout, which content does not tell from BEiT's: name the family",
        source="arXiv 2111.12710, which builds on microsoft/unilm beit; no stored copy of its code",
        signs=(),
        claims=(BEIT_LIKE,),
        left=BEIT_LEFT,
    ),
    Family(
        name="splitmask",
        title="SplitMask",
        layouts="BEiT's names, with or without `encoder.`: name the family",
        source="arXiv 2112.10740, which builds on microsoft/unilm beit; no stored copy of its code",
        signs=(),
        claims=((r"/(encoder\.)?blocks\.0\.attn\.q_bias$",),),
        prefix=r"(encoder\.)?",
        left=(*BEIT_LEFT, (r"^decoder\.", "the decoder of pretraining")),
    ),
    Family(
        name="ibot",
        title="iBOT",
        layouts="backbone file (`state_dict`), full file (`teacher` with `backbone.`)",
        source="bytedance/ibot main_ibot.py, models/{vision_transformer,head}.py",
        signs=(
            (r"^state_dict/cls_token$", *PLAIN, r"^positions: learnt$", r"!/head\."),
            (r"^teacher/(backbone\.)?cls_token$", r"^ibot_loss/$|head\.(mlp2|last_layer2)\b|masked_embed$"),
        ),
        claims=((r"^(state_dict|)/cls_token$", r"^positions: learnt$"),),
        prefix=r"(backbone\.)?",
        left=(PROJECTION, (r"^masked_embed$", MASK_TOKEN[1])),
        parity="golden",
    ),
    Family(
        name="dino",
        title="DINO",
        layouts="backbone file (the table itself), full file (`teacher` with `backbone.`)",
        source="facebookresearch/dino main_dino.py, vision_transformer.py",
        signs=(
            (r"^teacher/backbone\.cls_token$", r"^positions: learnt$"),
            (r"^/cls_token$", *PLAIN, r"^positions: learnt$", r"^format: pickle$", r"!/(head|blocks\.0\.ls1)\."),
        ),
        claims=((r"^(teacher|)/(backbone\.)?cls_token$", r"^positions: learnt$"),),
        prefix=r"(backbone\.)?",
        left=(PROJECTION,),
        parity="golden",
    ),
    Family(
        name="deit",
        title="DeiT, DeiT III",
        layouts="`model` with a classifier; not the distilled files",
        source="facebookresearch/deit models.py, models_v2.py",
        signs=((r"^model/head\.weight$", *PLAIN, r"^positions: learnt$"),),
        claims=((r"^(model|)/cls_token$", *PLAIN, r"^positions: learnt$"),),
        left=(CLASSIFIER,),
        parity="golden",
    ),
    Family(
        name="timm",
        title="timm ViT and BEiT",
        layouts="`.safetensors` or `.pth`, with or without a classifier; plain ViT names in any container",
        source="timm/models/{vision_transformer,beit}.py, which the tests run",
        signs=((r"/cls_token$", r"/blocks\.0\.attn\.qkv\.weight$"),),
        left=(CLASSIFIER, INDEX, MASK_TOKEN),
        parity="timm",
    ),
)
BY_NAME: Mapping[str, Family] = {family.name: family for family in FAMILIES}
