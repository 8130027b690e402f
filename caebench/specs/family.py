"""What a row of `families` says of a checkpoint family, and the patterns that several rows share. No torch.

Patterns see keys as `entry/key`: the entry of the file that holds the tensors (empty where the file is the table
itself), then the tensor's key without wrappers (`checkpoints/wrappers.py`). Beside the keys stand facts about the
content (`facts_of` in `checkpoints/mapping.py`), such as `positions: learnt`. A pattern that begins with `!` must match
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from caebench.specs.architecture import Activation

Patterns = tuple[str, ...]  # regular expressions that must all match
Names = tuple[tuple[str, str], ...]
Parity = Literal["golden", "timm", "transformers", "source", "own"]

PARITY: Mapping[Parity, str] = {
    "golden": "tokens within 2e-5 of the project's own code, a test (largest difference 3e-6)",
    "timm": "tokens within 2e-5 of timm's own models, a test",
    "transformers": "tokens within 2e-5 of transformers 5.24, a test",
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

MASK_TOKEN = (r"^mask_token$", "the mask token: no image that is seen whole has it")
CLASSIFIER = (r"^(head|pre_logits)\.", "a classifier")
INDEX = (r"(^|\.)relative_position_index$", "computed from the grid, and compared with ours")
PROJECTION = (r"^head\.(mlp2?|last_layer2?|last_norm2?)\b", "the projection head of self-distillation")

BEIT_LIKE = (r"/(encoder\.)?blocks\.0\.attn\.q_bias$", r"(rel_pos_bias\.|attn\.)relative_position_bias_table$")
BEIT_UNUSED: Names = (
    MASK_TOKEN,
    INDEX,
    (r"^(lm_head|cls_pt_layers)\.", "the prediction head of pretraining"),
    CLASSIFIER,
)
PLAIN = (r"/cls_token$", r"/blocks\.0\.attn\.qkv\.weight$", r"!q_bias$")

BASE_LARGE = {768: 12, 1024: 16}
BASE_LARGE_HUGE = {**BASE_LARGE, 1280: 16}
DEIT_HEADS = {192: 3, 384: 6, 512: 8, **BASE_LARGE_HUGE}  # 512: DeiT III's "medium"


@dataclass(frozen=True)
class Family:
    """A checkpoint family: how it is recognised, its keys and ours, its heads, its pixels, where that was read."""

    name: str
    title: str
    layouts: str  # which files are read, for people
    source: str  # where the layout was read
    heads: Mapping[int, int]  # of each width that the project has a model of: they cannot be read from a state dict
    pixels: str | None  # what all its encoders were trained on, where its own code fixes it (ADR 25)
    patterns: tuple[Patterns, ...]  # a file is this family's if one of them matches; the first family of FAMILIES wins
    claims: tuple[Patterns, ...] = ()  # what its files match if content cannot tell, and the user names the family
    prefix: str = ""  # before the encoder's keys
    names: Names = TIMM_NAMES
    unused: Names = ()  # pattern of keys that are not the encoder's -> why they are not used
    norm_eps: float = 1e-6
    parity: Parity = "source"
    unverified: tuple[Patterns, ...] = ()  # files whose parity is `source` all the same
    tested: str = ""  # which of its files the parity is of; empty: all
    usual_pixels: str | None = None  # where no config next to a file says otherwise
    class_token: bool = True
    norm_before_blocks: bool = False
    patch_bias: bool = True
    norms_class_only: bool = False  # its code applies the final norm to the class token alone
    activation: Activation | None = "gelu"  # None: encoders of different ones have the same keys
    activation_marks: tuple[tuple[str, Activation], ...] = ()  # patterns of content that tell
    hub_types: tuple[str, ...] = ()  # the `model_type` of its config.json on a hub
    hub_defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])  # transformers', where the rows' differ
    noted_as: str | None = None  # the layout that the note in a file of ours names (`ckpt export --to`)

    @property
    def parity_text(self) -> str:
        """How far agreement with its own code was tested, and for which of its files."""
        if not self.unverified:
            return PARITY[self.parity]
        return f"{self.tested}: {PARITY[self.parity]}; others: {PARITY['source']}"

    @property
    def is_own(self) -> bool:
        """Whether its files are caebench's, and say heads and pixels themselves."""
        return self.parity == "own"
