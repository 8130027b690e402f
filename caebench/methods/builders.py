"""The table of method builders: from a method's config to the method."""

from collections.abc import Callable

from caebench.data.randomness import Purpose, derive, seeded
from caebench.methods.beit import BEiTMethod
from caebench.methods.cae import CAEMethod
from caebench.methods.deit import DeiTMethod
from caebench.methods.dino import DINOMethod
from caebench.methods.ibot import IBOTMethod
from caebench.methods.mae import MAEMethod
from caebench.methods.method import Method
from caebench.methods.moco_v3 import MoCoV3Method
from caebench.models.tokenizer import Tokenizer
from caebench.specs.base import Config
from caebench.specs.methods.beit import BEiT
from caebench.specs.methods.cae import CAE
from caebench.specs.methods.deit import DeiT
from caebench.specs.methods.dino import DINO
from caebench.specs.methods.ibot import IBOT
from caebench.specs.methods.mae import MAE
from caebench.specs.methods.moco_v3 import MoCoV3
from caebench.specs.plugins import fill
from caebench.specs.pretrain import Pretrain

BUILDERS: dict[type[Config], Callable[[Pretrain, Tokenizer | None], Method]] = {
    CAE: CAEMethod,
    MAE: MAEMethod,
    BEiT: BEiTMethod,
    DeiT: DeiTMethod,
    MoCoV3: MoCoV3Method,
    DINO: DINOMethod,
    IBOT: IBOTMethod,
}


def build_method(config: Pretrain, tokenizer: Tokenizer | None = None) -> Method:
    """The initialised method, from the config's seed alone."""
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        return BUILDERS[type(config.method)](config, tokenizer)


fill("methods", "builder of", BUILDERS)  # of other projects: a dict as above
