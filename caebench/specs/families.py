"""Checkpoint families, a row each: all that is known of one stands here, and nowhere else (ADR 15).

How a file is recognised, its keys and ours, the heads of each width, the pixels that its code fixes, how far parity was
tested, and the sources. `caebench.checkpoints` reads files by these rows; suites and the manifest of assets name them.
A new family is a new row: the first whose patterns match wins, so the more specific row stands above the more general.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from caebench.specs.base import OneOf
from caebench.specs.did_you_mean import suggest
from caebench.specs.families_of_today import TODAY
from caebench.specs.family import (
    BASE_LARGE,
    BASE_LARGE_HUGE,
    BEIT_LIKE,
    BEIT_UNUSED,
    CLASSIFIER,
    DEIT_HEADS,
    INDEX,
    MASK_TOKEN,
    PLAIN,
    PROJECTION,
    TIMM_NAMES,
    Family,
)
from caebench.specs.family_names import HF_NAMES, MM_NAMES

FAMILIES: tuple[Family, ...] = (
    Family(
        name="caebench",
        title="caebench's own `encoder.safetensors`",
        layouts="the file of a job",
        source="caebench/checkpoints/encoder_file.py",
        heads={},  # its files say them
        pixels="imagenet",  # its files say them; those that do not are from when there was nothing else
        noted_as="encoder",
        patterns=((r"^record: encoder$",),),
        names=(),
        parity="own",
    ),
    *TODAY,
    Family(
        name="hf",
        title="Hugging Face ViT, BEiT, Data2Vec",
        layouts="`model.safetensors`, `pytorch_model.bin`; with or without a head",
        source="huggingface/transformers src/transformers/models/{vit,beit}/convert_*_to_pytorch.py",
        heads={192: 3, 384: 6, **BASE_LARGE_HUGE},
        pixels=None,  # any
        noted_as="hf",
        patterns=((r"/([\w]+\.)?embeddings\.cls_token$", r"encoder\.layer\.0\.attention\.attention\.query\.weight$"),),
        prefix=r"((vit|beit|deit|data2vec_vision)\.)?",
        names=HF_NAMES,
        unused=(
            (r"^(classifier|lm_head|pooler\.dense)\.", "a head"),
            (r"^decoder\.", "the decoder of pretraining"),
            (r"^embeddings\.mask_token$", MASK_TOKEN[1]),
            INDEX,
        ),
        norm_eps=1e-12,  # ViTConfig, BeitConfig: layer_norm_eps
        hub_types=("vit", "beit", "data2vec-vision"),
        parity="transformers",
    ),
    Family(
        name="mmpretrain",
        title="MMPretrain, MMSelfSup ViT and BEiT",
        layouts="`state_dict` with `backbone.`",
        source="open-mmlab/mmpretrain mmpretrain/models/backbones/{vision_transformer,beit}.py",
        heads=DEIT_HEADS,  # mmpretrain/models/backbones/vision_transformer.py, arch_zoo
        pixels=None,  # any
        noted_as="mmpretrain",
        patterns=((r"/(backbone\.)?layers\.0\.ffn\.layers\.0\.0\.weight$",),),
        prefix=r"(backbone\.)?",
        names=MM_NAMES,
        unused=(
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
        heads={384: 12, **BASE_LARGE_HUGE},  # vits.py
        pixels="imagenet",  # main_moco.py
        patterns=((r"/base_encoder\.cls_token$",), (*PLAIN, r"^positions: fixed, rows first$")),
        prefix=r"(base_encoder\.)?",
        unused=(
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
        heads=BASE_LARGE,  # configs/masked_ssl/in1k_VIT_{B,L}_MaskFeat_PT.yaml
        pixels="imagenet",  # configs/masked_ssl/in1k_VIT_{B,L}_MaskFeat_PT.yaml
        patterns=((r"/pred_head\.transforms\.0\.0\.weight$", *PLAIN),),
        names=(*TIMM_NAMES, (r"^pred_head\.transforms\.0\.0\.(weight|bias)$", r"norm.\1")),
        unused=(
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
        heads={768: 12},  # configs/vit_base__800ep
        pixels="imagenet",  # data/data_simmim.py
        patterns=(
            (r"/encoder\.cls_token$", r"/decoder\.0\.(weight|bias)$", r"!pretext_neck|regresser"),
            (r"/encoder\.mask_token$", r"/encoder\.(rel_pos_bias\.|blocks\.0\.attn\.)relative_position_bias_table$"),
        ),
        prefix=r"encoder\.",
        unused=(MASK_TOKEN, INDEX, (r"^decoder\.0\.", "the decoder of pretraining")),
        parity="golden",
    ),
    Family(
        name="cae",
        title="CAE",
        layouts="released encoder, and the raw training file of either repository (`model` with `encoder.`)",
        source="Atten4Vis/CAE and lxtGH/CAE models/modeling_cae{,_helper}.py",
        heads={384: 12, **BASE_LARGE_HUGE},  # models/modeling_cae.py
        pixels="imagenet",  # Atten4Vis/CAE scripts/cae_{base_800e,large_1600e}.sh: --imagenet_default_mean_and_std
        noted_as="official-cae",
        patterns=(
            (r"/encoder\.cls_token$", r"/encoder\.blocks\.0\.attn\.q_bias$", r"/encoder\.pos_embed$"),
            (r"^record: official-cae$",),
        ),
        prefix=r"encoder\.",
        unused=(
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
        heads=BASE_LARGE_HUGE,  # models_mae.py
        pixels="imagenet",  # main_pretrain.py
        patterns=(
            (*PLAIN, r"/decoder_embed\.weight$"),
            (*PLAIN, r"^positions: fixed, columns first$"),
        ),
        unused=(
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
        heads=BASE_LARGE_HUGE,  # beit/modeling_cyclical.py
        pixels="imagenet",  # beit/README.md: --imagenet_default_mean_and_std
        patterns=((*BEIT_LIKE, r"^lm_head: square$"),),
        unused=BEIT_UNUSED,
    ),
    Family(
        name="beit",
        title="BEiT",
        layouts="`model` of pretraining: one shared bias; files with a bias a block and a final norm",
        source="microsoft/unilm beit/{modeling_pretrain,modeling_finetune}.py",
        heads={384: 6, **BASE_LARGE},
        pixels=None,  # 22k: 0.5 and 0.5; ImageNet-1k: --imagenet_default_mean_and_std (beit/README.md)
        patterns=((*BEIT_LIKE, r"^model/"), (*BEIT_LIKE, r"/(mask_token|lm_head\.weight)$")),
        claims=(BEIT_LIKE,),
        unused=BEIT_UNUSED,
        parity="golden",
    ),
    Family(
        name="peco",
        title="PeCo",
        layouts="BEiT's keys, so it is not auto-detected from content: name the family",
        source="arXiv 2111.12710, which builds on microsoft/unilm beit; no stored copy of its code",
        heads=BASE_LARGE_HUGE,
        pixels=None,  # no stored copy of its code says them
        patterns=(),
        claims=(BEIT_LIKE,),
        unused=BEIT_UNUSED,
    ),
    Family(
        name="splitmask",
        title="SplitMask",
        layouts="BEiT's keys, with or without `encoder.`, so it is not auto-detected: name the family",
        source="arXiv 2112.10740, which builds on microsoft/unilm beit; no stored copy of its code",
        heads={384: 6, 768: 12},
        pixels=None,  # no stored copy of its code says them
        patterns=(),
        claims=((r"/(encoder\.)?blocks\.0\.attn\.q_bias$",),),
        prefix=r"(encoder\.)?",
        unused=(*BEIT_UNUSED, (r"^decoder\.", "the decoder of pretraining")),
    ),
    Family(
        name="ibot",
        title="iBOT",
        layouts="backbone file (`state_dict`), full file (`teacher` with `backbone.`)",
        source="bytedance/ibot main_ibot.py, models/{vision_transformer,head}.py",
        heads={192: 3, 384: 6, **BASE_LARGE},  # models/vision_transformer.py
        pixels="imagenet",  # main_ibot.py
        patterns=(
            (r"^state_dict/cls_token$", *PLAIN, r"^positions: learnt$", r"!/head\."),
            (r"^teacher/(backbone\.)?cls_token$", r"^ibot_loss/$|head\.(mlp2|last_layer2)\b|masked_embed$"),
        ),
        claims=((r"^(state_dict|)/cls_token$", r"^positions: learnt$"),),
        prefix=r"(backbone\.)?",
        unused=(PROJECTION, (r"^masked_embed$", MASK_TOKEN[1])),
        parity="golden",
    ),
    Family(
        name="dino",
        title="DINO",
        layouts="backbone file (the table itself), full file (`teacher` with `backbone.`)",
        source="facebookresearch/dino main_dino.py, vision_transformer.py",
        heads={192: 3, 384: 6, 768: 12},  # vision_transformer.py
        pixels="imagenet",  # main_dino.py
        patterns=(
            (r"^teacher/backbone\.cls_token$", r"^positions: learnt$"),
            (r"^/cls_token$", *PLAIN, r"^positions: learnt$", r"^format: pickle$", r"!/(head|blocks\.0\.ls1)\."),
        ),
        claims=((r"^(teacher|)/(backbone\.)?cls_token$", r"^positions: learnt$"),),
        prefix=r"(backbone\.)?",
        unused=(PROJECTION,),
        parity="golden",
    ),
    Family(
        name="deit",
        title="DeiT, DeiT III",
        layouts="`model` with a classifier; not the distilled files",
        source="facebookresearch/deit models.py, models_v2.py",
        heads=DEIT_HEADS,  # models.py, models_v2.py
        pixels="imagenet",  # datasets.py, augment.py
        patterns=((r"^model/head\.weight$", *PLAIN, r"^positions: learnt$"),),
        claims=((r"^(model|)/cls_token$", *PLAIN, r"^positions: learnt$"),),
        unused=(CLASSIFIER,),
        parity="golden",
    ),
    Family(
        name="timm",
        title="timm ViT and BEiT",
        layouts="`.safetensors` or `.pth`, with or without a classifier; plain ViT names in any container",
        source="timm/models/{vision_transformer,beit}.py, which the tests run",
        heads={192: 3, 384: 6, **BASE_LARGE_HUGE},  # timm/models/vision_transformer.py
        pixels=None,  # any
        noted_as="timm",
        patterns=((r"/cls_token$", r"/blocks\.0\.attn\.qkv\.weight$"),),
        unused=(CLASSIFIER, INDEX, MASK_TOKEN),
        parity="timm",
    ),
)
BY_NAME: Mapping[str, Family] = {family.name: family for family in FAMILIES}


def known_family(name: str) -> str:
    """The name, if a family has it.

    Raises:
        ValueError: none has.
    """
    if name not in BY_NAME:
        raise ValueError(f"family '{name}': unknown.{suggest(name, BY_NAME)} Known: {', '.join(BY_NAME)}.")
    return name


FamilyName = Annotated[str, AfterValidator(known_family), OneOf(BY_NAME)]
