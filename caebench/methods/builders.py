"""From a method's config to the method: the only table of them."""

from collections.abc import Callable, Mapping

from caebench.config.base import Config
from caebench.config.compared import DINO, IBOT, MAE, BEiT, DeiT, MoCoV3
from caebench.config.method import CAE
from caebench.config.stage import Pretrain
from caebench.data.randomness import Purpose, derive, seeded
from caebench.methods.beit import BEiTMethod
from caebench.methods.deit import DeiTMethod
from caebench.methods.dino import DINOMethod
from caebench.methods.ibot import IBOTMethod
from caebench.methods.mae import MAEMethod
from caebench.methods.method import Method
from caebench.methods.moco_v3 import MoCoV3Method
from caebench.methods.pretraining import build_cae
from caebench.models.tokenizer import Tokenizer

BUILDERS: Mapping[type[Config], Callable[[Pretrain, Tokenizer | None], Method]] = {
    CAE: build_cae,
    MAE: MAEMethod,
    BEiT: BEiTMethod,
    DeiT: DeiTMethod,
    MoCoV3: MoCoV3Method,
    DINO: DINOMethod,
    IBOT: IBOTMethod,
}


def build_method(config: Pretrain, tokenizer: Tokenizer | None = None) -> Method:
    """The method at its start, from the config's seed alone."""
    with seeded(derive(Purpose.INITIALISATION, config.seed)):
        return BUILDERS[type(config.method)](config, tokenizer)
