"""k-NN segmentation."""

from typing import ClassVar, Literal, Self

from pydantic import PositiveFloat, PositiveInt

from caebench.specs.arithmetic import encode
from caebench.specs.evaluations.segmentation import METRICS, RULES
from caebench.specs.inputs.dataset import Data
from caebench.specs.inputs.named import DataName, named
from caebench.specs.job import Inputs, Protocol, Spec, Speed, encoder_size
from caebench.specs.optim import Precision
from caebench.specs.scale import Scale
from caebench.specs.variants import VariantName


class KNNSegmentation(Spec):
    """k-nearest-neighbour segmentation on frozen patch tokens (arXiv 2306.01667, Sec. 3.1)."""

    VERSION: ClassVar[int] = 2
    METRICS: ClassVar[tuple[str, ...]] = METRICS
    LABELS: ClassVar[tuple[str, ...]] = ("map",)
    SPEED: ClassVar[Speed] = "frozen"

    kind: Literal["knn_segmentation"]
    data: Data
    """The data set: patches of its training images are the bank, its validation images are segmented."""
    image_size: PositiveInt
    """Pixels of the short side."""
    bank_size: PositiveInt = 1_024_000
    """Patches kept of the training images, equally many of each."""
    k: PositiveInt = 30
    """Neighbours of a patch."""
    temperature: PositiveFloat = 0.02
    """Temperature of the neighbours' weights."""
    precision: Precision = "bf16"
    """Number format of the encoder."""
    seed: int = 0
    """Seed of all randomness; `--seeds` sets it, a suite never does."""

    def scaled(self, scale: Scale) -> Self:
        """Smaller images."""
        side = scale.rule("segmentation", RULES).side
        size = round(self.image_size * side)
        return self.replace(data=self.data.scaled(scale), image_size=size, precision=scale.precision)

    def multiply_adds(self, inputs: Inputs) -> float:
        """Every image encoded once, and every validation patch compared with the bank."""
        variant, size, pixels = encoder_size(inputs), self.data.size, 4 / 3 * self.image_size**2
        encoder = encode(variant, round(pixels**0.5)) * (size.train + size.val)
        return encoder + size.val * pixels / variant.patch_size**2 * self.bank_size * variant.dim

    def protocol(self) -> Protocol:
        """See `Spec`."""
        size = f"short side {self.image_size}"
        return {"feature": "patch tokens", "norm": "final norm", "resolution": size, "precision": self.precision}


def knn_segmentation(variant: VariantName = "vit_b", data: DataName = "ade20k") -> KNNSegmentation:
    """Nearest neighbours of frozen patch tokens. Source: Hummingbird (arXiv 2306.01667), Sec. 3.1; not in the paper.

    Differs from it: a tenth of its bank of patches, which then fits any GPU.
    """
    return KNNSegmentation(kind="knn_segmentation", data=named(data), image_size=512)
