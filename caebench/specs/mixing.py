"""How images mix in supervised training: fine-tuning, and DeiT."""

from pydantic import Field, NonNegativeFloat, PositiveInt

from caebench.specs.base import Config


class Mixing(Config):
    """Mixup and cutmix through timm. `group` images share one draw, as on one of the official code's GPUs."""

    mixup: NonNegativeFloat = 0.8
    """Mixup's alpha; 0: none."""
    cutmix: NonNegativeFloat = 1.0
    """Cutmix's alpha; 0: none."""
    switch_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of cutmix where both are on."""
    group: PositiveInt = 128
    """Images that share one draw; it must divide the batch."""

    def check(self, global_batch: int) -> None:
        """Refuse groups that do not fill a batch.

        Raises:
            ValueError: the group does not divide it.
        """
        if global_batch % self.group:
            raise ValueError(f"field 'mixing.group' is {self.group}: it must divide the global batch {global_batch}.")
