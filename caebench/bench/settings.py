"""The settings of a measurement."""

from typing import Literal, NamedTuple

from caebench.specs.methods.cae import cae, cae_of
from caebench.specs.optim import Precision
from caebench.specs.pretrain import Pretrain
from caebench.specs.variants import VARIANTS

TokenizerName = Literal["none", "dalle", "dvae"]


class Settings(NamedTuple):
    """A pretraining and its batch; tokenizer `none`: the batch has the codes."""

    config: Pretrain
    batch: int
    tokenizer: TokenizerName = "none"
    compiled: bool = False
    warm_up: int = 3
    repeats: int = 10

    @property
    def flops(self) -> float:
        """FLOP per image of a step, counted as in the plan; the tokenizer's only if it runs."""
        patches = (self.config.image_size / VARIANTS[self.config.variant].patch_size) ** 2
        left_out = cae_of(self.config).target.multiply_adds(patches) if self.tokenizer == "none" else 0.0
        return 2.0 * (self.config.step_multiply_adds() - left_out)

    @property
    def view_size(self) -> int | None:
        """Pixels of the tokenizer's view."""
        if self.tokenizer == "none":
            return None
        target, patch = self.config.method.code_target(), VARIANTS[self.config.variant].patch_size
        assert target is not None, "with a tokenizer there are codes"
        return self.config.image_size // patch * target.stride

    def at(self, precision: Precision) -> "Settings":
        """The same in another precision."""
        optimization = self.config.optimization.replace(precision=precision)
        return self._replace(config=self.config.replace(optimization=optimization))

    def facts(self) -> dict[str, object]:
        """In plain values."""
        return {
            "variant": self.config.variant,
            "batch": self.batch,
            "precision": self.config.optimization.precision,
            "tokenizer": self.tokenizer,
            "compiled": self.compiled,
            "warm_up": self.warm_up,
            "repeats": self.repeats,
        }


def paper_settings(variant: str, batch: int, precision: Precision, tokenizer: TokenizerName) -> Settings:
    """The paper's pretraining with an encoder of this size.

    Raises:
        ValueError: no encoder has this size.
    """
    from caebench.specs.did_you_mean import suggest

    if variant not in VARIANTS:
        raise ValueError(f"--variant '{variant}': unknown.{suggest(variant, VARIANTS)} Known: {', '.join(VARIANTS)}.")
    config = cae(variant, target="dvae" if tokenizer == "dvae" else "dalle")
    return Settings(config, batch, tokenizer).at(precision)
