"""Checkpoint families whose encoders are no plain ViT, or have no class token: rows of `families` (ADR 40)."""

from caebench.specs.family import (
    BASE_LARGE,
    BASE_LARGE_HUGE,
    CLASSIFIER,
    INDEX,
    MASK_TOKEN,
    TIMM_NAMES,
    Family,
)
from caebench.specs.family_names import DINOV2_NAMES, HF_DINOV2, HF_NAMES, HF_TOWER, OPENAI_NAMES

HF_QUERY = r"/([\w]+\.)?encoder\.layer\.0\.attention\.attention\.query\.weight$"
HF_CLASSIFIER = (r"^classifier\.", "a classifier")
HF_POOLER = (r"^pooler\.", "a pooling layer")
TOWER = r"/((\w+\.)?vision_model\.)?"
TEXT = (r"^(text_model|text|token_embedding|transformer|ln_final|text_projection)(\.|$)", "the text tower")
JOINT = (
    r"^(logit_(scale|bias)|(visual|text)_projection\.weight|positional_embedding|input_resolution|context_length|vocab_size)$",
    "of text and images together",
)
NO_TRANSFORMERS = r"[/.](visual|patch_embed)\."

TODAY: tuple[Family, ...] = (
    Family(
        name="dinov2",
        title="DINOv2",
        layouts="Hugging Face's, and the released `.pth` (with or without chunks of blocks); registers, SwiGLU",
        source="facebookresearch/dinov2 dinov2/models/vision_transformer.py, dinov2/layers/swiglu_ffn.py; "
        "huggingface/transformers src/transformers/models/dinov2{,_with_registers}",
        heads={384: 6, **BASE_LARGE, 1536: 24},  # vision_transformer.py: vit_small ... vit_giant2
        pixels=None,
        usual_pixels="imagenet",  # dinov2/data/transforms.py
        patterns=(
            (r"embeddings\.cls_token$", r"/(\w+\.)?encoder\.layer\.0\.layer_scale1\.lambda1$", HF_QUERY),
            (r"/(backbone\.)?cls_token$", r"/(backbone\.)?mask_token$", r"blocks\.(0\.)?0\.ls1\.gamma$", r"!q_bias$"),
        ),
        claims=((r"/cls_token$", r"/blocks\.(0\.)?0\.ls1\.gamma$", r"!q_bias$"),),
        prefix=r"((dinov2|dinov2_with_registers|backbone)\.)?",
        names=(*DINOV2_NAMES, *HF_DINOV2),
        unused=(
            MASK_TOKEN,
            (r"^embeddings\.mask_token$", MASK_TOKEN[1]),
            (r"^(dino|ibot)_head\.", "a head of pretraining"),
            HF_CLASSIFIER,
        ),
        parity="transformers",
        tested="Hugging Face's layout without SwiGLU",
        unverified=((NO_TRANSFORMERS,), (r"mlp\.weights_in\.weight$",)),
        hub_types=("dinov2", "dinov2_with_registers"),
    ),
    Family(
        name="ijepa",
        title="I-JEPA",
        layouts="Hugging Face's, and the released `.pth.tar` (`target_encoder`)",
        source="facebookresearch/ijepa src/models/vision_transformer.py, src/helper.py; "
        "huggingface/transformers src/transformers/models/ijepa",
        heads={192: 3, 384: 6, **BASE_LARGE_HUGE, 1408: 16},  # src/models/vision_transformer.py
        pixels=None,
        usual_pixels="imagenet",  # src/transforms.py
        class_token=False,
        patterns=(
            (HF_QUERY, r"embeddings\.position_embeddings$", r"!cls_token$"),
            (
                r"^[^/]*/pos_embed$",
                r"/blocks\.0\.attn\.qkv\.weight$",
                r"^positions: fixed",
                r"!cls_token$|attn_pool\.",
            ),
        ),
        prefix=r"(ijepa\.)?",
        names=(*TIMM_NAMES, *HF_NAMES),
        unused=(HF_CLASSIFIER, HF_POOLER, (r"^embeddings\.mask_token$", MASK_TOKEN[1])),
        parity="transformers",
        tested="Hugging Face's layout",
        unverified=((NO_TRANSFORMERS,),),
        hub_types=("ijepa",),
        hub_defaults={"layer_norm_eps": 1e-12},  # IJepaConfig; the released configs say 1e-6
    ),
    Family(
        name="clip",
        title="CLIP's vision tower",
        layouts="Hugging Face's, with or without the text tower; OpenAI's and open_clip's state dicts (`visual.`)",
        source="openai/CLIP clip/model.py; mlfoundations/open_clip src/open_clip/transformer.py; "
        "huggingface/transformers src/transformers/models/clip",
        heads={**BASE_LARGE_HUGE, 1408: 16, 1664: 16},  # open_clip model_configs: head_width 64, 80, 88, 104
        pixels=None,
        usual_pixels="clip",  # clip/clip.py, open_clip/constants.py
        norm_before_blocks=True,
        patch_bias=False,
        norms_class_only=True,
        activation=None,  # OpenAI: quick GELU; open_clip: GELU, unless a model's config says quick_gelu
        activation_marks=((r"^[^/]*/input_resolution$", "quick_gelu"),),  # an entry that OpenAI's files alone have
        patterns=(
            (TOWER + r"embeddings\.class_embedding$", TOWER + r"pre_layrnorm\.weight$"),
            (r"/visual\.class_embedding$", r"/visual\.transformer\.resblocks\.0\.attn\.in_proj_weight$"),
        ),
        prefix=r"((\w+\.)?vision_model\.)?",
        names=(*OPENAI_NAMES, *HF_TOWER),
        unused=(
            (r"^visual\.proj$", "the projection to the space of text and images"),
            TEXT,
            JOINT,
            (r"(^|\.)position_ids$", "the numbers of the positions"),
            HF_CLASSIFIER,
        ),
        norm_eps=1e-5,
        parity="transformers",
        tested="Hugging Face's layout",
        unverified=((NO_TRANSFORMERS,),),
        hub_types=("clip_vision_model", "clip"),
        hub_defaults={"hidden_act": "quick_gelu"},  # CLIPVisionConfig
    ),
    Family(
        name="siglip",
        title="SigLIP's vision tower",
        layouts="Hugging Face's, with or without the text tower; timm's names (open_clip: `visual.trunk.`)",
        source="google-research/big_vision big_vision/models/vit.py; timm/models/vision_transformer.py; "
        "huggingface/transformers src/transformers/models/siglip",
        heads={**BASE_LARGE, 1152: 16, 1536: 16},  # timm: vit_{base,large,so400m,giantopt}_patch*_siglip_*
        pixels=None,
        usual_pixels="inception",  # timm: mean and deviation 0.5
        class_token=False,
        activation="gelu_tanh",  # flax's gelu, which big_vision calls; timm has GELU for some of the first release
        patterns=(
            (TOWER + r"embeddings\.patch_embedding\.bias$", TOWER + r"embeddings\.position_embedding\.weight$"),
            (r"/(visual\.trunk\.)?attn_pool\.latent$", r"/(visual\.trunk\.)?pos_embed$", r"!cls_token$"),
        ),
        prefix=r"(visual\.trunk\.|((\w+\.)?vision_model\.)?)",
        names=(*TIMM_NAMES, *HF_TOWER),
        unused=(
            (r"^(visual\.trunk\.|(\w+\.)?vision_model\.)?(attn_pool|head)\.", "the attention pooling"),
            TEXT,
            JOINT,
            (r"(^|\.)position_ids$", "the numbers of the positions"),
            HF_CLASSIFIER,
        ),
        parity="transformers",
        tested="Hugging Face's layout",
        unverified=((NO_TRANSFORMERS,),),
        hub_types=("siglip_vision_model", "siglip"),
        hub_defaults={"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},  # SiglipVisionConfig
    ),
    Family(
        name="cae_v2",
        title="CAE v2",
        layouts="raw training file (`model` with `encoder.`, a decoder without blocks); a bare encoder has CAE's keys",
        source="Atten4Vis/CAE models/modeling_cae.py at 1016f85 (`model_type` caev2), project/CAEv2/scripts",
        heads={192: 12, 384: 12, **BASE_LARGE},  # models/modeling_cae.py
        pixels="imagenet",  # project/CAEv2/scripts/caev2_base_300e.sh: --imagenet_default_mean_and_std
        patterns=(
            (
                r"/encoder\.blocks\.0\.attn\.q_bias$",
                r"/encoder\.pos_embed$",
                r"/regresser\.",
                r"/decoder\.head\.weight$",
                r"!/(decoder\.decoder_blocks|alignment_encoder|teacher)\.",
            ),
        ),
        claims=((r"/encoder\.blocks\.0\.attn\.q_bias$", r"/encoder\.pos_embed$"),),
        prefix=r"encoder\.",
        unused=(
            (r"^mask_token$", MASK_TOKEN[1]),
            (r"^(regresser|encoder_to_regresser(_norm)?)\.", "the regressor, and what leads to it"),
            (r"^decoder\.(norm|head)\.", "the prediction of CLIP's features"),
            (r"^rd_pos_embed$", "positions of the regressor"),
            INDEX,
            CLASSIFIER,
        ),
    ),
)
