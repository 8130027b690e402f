"""What is measured, and how often."""

from typing import Literal, NamedTuple

from caebench.config.method import CAE, DALLETarget
from caebench.config.optim import Precision
from caebench.config.stage import Pretrain
from caebench.config.variants import VARIANTS
from caebench.plan.pretraining import pretraining_step, tokenize
from caebench.recipes.cae import cae

TokenizerName = Literal["none", "dalle", "dvae"]


class Settings(NamedTuple):
    """A pretraining and its batch; tokenizer `none`: its codes come with the batch."""

    config: Pretrain
    batch: int
    tokenizer: TokenizerName = "none"
    compiled: bool = False
    warm_up: int = 3
    repeats: int = 10

    @property
    def flops(self) -> float:
        """FLOP of one image's share of a step, by the plan's count; the tokenizer's only where it runs."""
        method = self.config.method
        assert isinstance(method, CAE)
        patches = (self.config.image_size / VARIANTS[self.config.variant].patch_size) ** 2
        left_out = tokenize(method.target, patches) if self.tokenizer == "none" else 0.0
        return 2.0 * (pretraining_step(self.config) - left_out)

    @property
    def view_size(self) -> int | None:
        """Pixels of the tokenizer's view."""
        if self.tokenizer == "none":
            return None
        method, patch = self.config.method, VARIANTS[self.config.variant].patch_size
        assert isinstance(method, CAE)
        stride = 8 if isinstance(method.target, DALLETarget) else 2**method.target.tokenizer.num_downsamplings  # pyright: ignore
        return self.config.image_size // patch * stride

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
    from caebench.config.names import suggest

    if variant not in VARIANTS:
        raise ValueError(f"--variant '{variant}': unknown.{suggest(variant, VARIANTS)} Known: {', '.join(VARIANTS)}.")
    config = cae(variant, target="dvae" if tokenizer == "dvae" else "dalle")
    return Settings(config, batch, tokenizer).at(precision)
