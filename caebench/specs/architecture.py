"""In what an encoder of another project differs from the plain ViT that is pretrained here (ADR 40). No torch."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

Activation = Literal["gelu", "quick_gelu", "gelu_tanh"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


class Architecture(NamedTuple):
    """The parts of an encoder that its variant does not name; the defaults are the plain ViT's."""

    class_token: bool = True
    num_registers: int = 0  # tokens between the class token and the patches that stand for no patch
    norm_before_blocks: bool = False
    patch_bias: bool = True
    qkv_bias: bool = True
    activation: Activation = "gelu"  # of an MLP without gate
    gated: bool = False  # SwiGLU: the first half of `fc1`, through SiLU, times the second
    mlp_dim: int | None = None  # of `fc2`'s input; None: four times the width
    norms_class_only: bool = False  # the final norm is the class token's alone: other tokens are given before it

    @property
    def num_prefix(self) -> int:
        """Tokens before the patches."""
        return int(self.class_token) + self.num_registers


PLAIN = Architecture()


def to_dict(architecture: Architecture) -> dict[str, Any]:
    """The fields that differ from the plain ViT's."""
    plain = PLAIN._asdict()
    return {name: value for name, value in architecture._asdict().items() if value != plain[name]}


def from_dict(fields: Mapping[str, Any]) -> Architecture:
    """The architecture that `to_dict` has written.

    Raises:
        ValueError: a field is unknown, or its value is none that it can have.
    """
    plain = PLAIN._asdict()
    for name, value in fields.items():
        if name not in plain:
            raise ValueError(f"architecture: unknown field '{name}'")
        expected = "int" if name == "mlp_dim" else type(plain[name]).__name__
        if type(value).__name__ != expected or (expected == "int" and value < 0):
            raise ValueError(f"architecture: {name} {value!r}")
    if fields.get("activation", "gelu") not in ACTIVATIONS:
        raise ValueError(f"architecture: activation '{fields['activation']}': known are {', '.join(ACTIVATIONS)}")
    return Architecture(**fields)


def describe(architecture: Architecture) -> str:
    """How it differs from the plain ViT, in words; empty if it does not."""
    said = {
        "no class token": not architecture.class_token,
        f"{architecture.num_registers} registers": architecture.num_registers > 0,
        "a norm before the blocks": architecture.norm_before_blocks,
        "no bias of the patch embedding": not architecture.patch_bias,
        "no bias of queries, keys and values": not architecture.qkv_bias,
        architecture.activation: architecture.activation != "gelu",
        "SwiGLU": architecture.gated,
        f"MLP of {architecture.mlp_dim}": architecture.mlp_dim is not None,
        "final norm on the class token alone": architecture.norms_class_only,
    }
    return ", ".join(words for words, holds in said.items() if holds)
