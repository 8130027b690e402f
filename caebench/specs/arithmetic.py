"""What networks cost: multiply-adds of linear layers and attention, and weights."""

from caebench.specs.variants import Variant

BYTES = 4  # float32 weights
STATES = 3  # a weight with AdamW's two moments
KEPT = 2  # checkpoints


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


def trained_bytes(variant: Variant) -> int:
    """The checkpoints of a job that trains an encoder, and leaves none."""
    return encoder_parameters(variant) * BYTES * KEPT * STATES
