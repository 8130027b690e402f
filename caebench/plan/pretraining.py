"""What pretraining costs: multiply-adds of one image's share of a step, and weights beside the encoder's."""

from caebench.config.compared import DINO, IBOT, MAE, BEiT, DeiT, MoCoV3
from caebench.config.method import CAE, DALLETarget, DVAETarget, Target
from caebench.config.stage import Pretrain
from caebench.config.variants import VARIANTS, Variant

DALLE_MULTIPLY_ADDS = 26.1e9 / 112**2  # a pixel of the tokenizer's view


def encode(variant: Variant, image_size: int, share: float = 1.0) -> float:
    """The encoder's forward pass on a share of the patches."""
    tokens = share * (image_size / variant.patch_size) ** 2 + 1
    embedding = 3 * variant.patch_size**2 * variant.dim * (image_size / variant.patch_size) ** 2
    return blocks(variant.dim, variant.depth, tokens, tokens) + embedding


def blocks(dim: int, depth: int, tokens: float, context: float) -> float:
    """Blocks whose `tokens` attend to `context` tokens: q, out and MLP for each token, k and v for each in context."""
    return depth * (10 * dim**2 * tokens + 2 * dim**2 * context + 2 * tokens * context * dim)


def encoder_parameters(variant: Variant) -> int:
    """Weights of the blocks and the patch embedding."""
    return 12 * variant.dim**2 * variant.depth + 3 * variant.patch_size**2 * variant.dim


def pretraining_step(config: Pretrain) -> float:
    """One image's share of a step; a backward pass counts as two forward passes."""
    variant, size = VARIANTS[config.variant], config.image_size
    patches, whole = (size / variant.patch_size) ** 2, encode(variant, size)
    match config.method:
        case CAE() as method:
            return _cae_step(method, variant, size)
        case MAE(masking=masking) as method:
            decoder = blocks(method.decoder_dim, method.decoder_depth, patches, patches)
            return 3 * (encode(variant, size, 1 - masking.ratio) + decoder)
        case BEiT(masking=masking, target=target):
            head = masking.ratio * patches * variant.dim * target.vocabulary
            return 3 * (whole + head) + tokenize(target, patches)
        case DeiT():
            return 3 * whole
        case MoCoV3():
            return 2 * (3 + 1) * (whole + head_parameters(config))  # both views, online and momentum
        case DINO() | IBOT() as method:
            head, small = head_parameters(config), encode(variant, method.local_size)
            places = 1 + (patches if isinstance(method, IBOT) else 0)
            large = 2 * (3 + 1) * (whole + places * head)  # student and teacher
            return large + 3 * method.num_local * (small + head)


def pretraining_parameters(config: Pretrain) -> float:
    """Weights in training, momentum copies included."""
    variant = VARIANTS[config.variant]
    encoder = encoder_parameters(variant)
    match config.method:
        case CAE(regressor_depth=regressor, decoder_depth=decoder):
            return encoder * (1 + (regressor + decoder) / variant.depth)
        case MAE(decoder_dim=dim, decoder_depth=depth):
            return encoder + 12 * dim**2 * depth
        case BEiT(target=target):
            return encoder + variant.dim * target.vocabulary
        case DeiT():
            return encoder
        case MoCoV3() | DINO() | IBOT():
            return 2 * (encoder + head_parameters(config))


def head_parameters(config: Pretrain) -> float:
    """Weights of projection heads, the online ones; as many multiply-adds a token."""
    dim = VARIANTS[config.variant].dim
    match config.method:
        case MoCoV3(hidden_dim=hidden, output_dim=out):
            return hidden * (dim + hidden + out) + hidden * 2 * out
        case DINO() | IBOT() as method:
            return method.hidden_dim * (dim + method.hidden_dim) + method.bottleneck_dim * (
                method.hidden_dim + method.prototypes
            )
        case _:
            return 0.0


def _cae_step(method: CAE, variant: Variant, image_size: int) -> float:
    patches = (image_size / variant.patch_size) ** 2
    masked = method.masking.ratio * patches
    encoder = encode(variant, image_size, 1 - method.masking.ratio)
    target = encode(variant, image_size, method.masking.ratio)  # forward only
    latent = blocks(variant.dim, method.regressor_depth, masked, patches)
    latent += blocks(variant.dim, method.decoder_depth, masked, masked)
    outputs = 3 * variant.patch_size**2 if method.target.kind == "pixels" else method.target.vocabulary
    return 3 * (encoder + latent + masked * variant.dim * outputs) + target + tokenize(method.target, patches)


def tokenize(target: Target, patches: float) -> float:
    """The tokenizer's forward pass on one view; 0 where the targets are no codes."""
    match target:
        case DALLETarget():
            return DALLE_MULTIPLY_ADDS * patches * 8**2
        case DVAETarget(tokenizer=config):
            return patches * 60 * config.hidden_dim**2
        case _:
            return 0.0
