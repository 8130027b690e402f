"""Classes that published files contain beside the weights: each name becomes an inert stand-in (`reading`).

No class here is imported or called, installed or not. A name that is missing here is refused, by name. `torch.Size`,
`torch.dtype`, `torch.device`, `OrderedDict` and `Counter` are on torch's own list.
"""


def _in(module: str, names: str) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names.split())


OPTIONS = ("argparse.Namespace",)  # BEiT, CAE, DeiT, DINO, iBOT, MAE: `args`. Their state is kept (`pixels`)
DICTS = (  # tables with attributes, which a pickle fills like a dict
    "yacs.config.CfgNode",  # SimMIM: `config`
    *_in("collections", "defaultdict"),
    *_in("easydict", "EasyDict"),
    *_in("addict.addict", "Dict"),
    *_in("munch", "Munch DefaultMunch"),
    *_in("mmcv.utils.config", "ConfigDict"),
    *_in("mmengine.config.config", "ConfigDict"),
    "fvcore.common.config.CfgNode",
    "detectron2.config.config.CfgNode",
    "timm.utils.misc.AttrDict",
    *(f"{place}.AttributeDict" for place in ("lightning.fabric.utilities.data", "lightning_fabric.utilities.data")),
    *(f"{place}.utilities.parsing.AttributeDict" for place in ("lightning.pytorch", "pytorch_lightning")),
)
LISTS = ("collections.deque",)  # which a pickle fills like a list
PATHS = tuple(
    name
    for module in ("pathlib", "pathlib._local")
    for name in _in(module, "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath")
)
OMEGACONF = (
    *_in("omegaconf.dictconfig", "DictConfig"),
    *_in("omegaconf.listconfig", "ListConfig"),
    *_in("omegaconf.base", "ContainerMetadata Metadata UnionNode SCMode"),
    *_in("omegaconf.nodes", "AnyNode StringNode IntegerNode FloatNode BooleanNode BytesNode PathNode EnumNode"),
    *_in("omegaconf.nodes", "InterpolationResultNode"),
    *_in("typing", "Any Dict List Optional Tuple Union"),
)
NUMPY = (  # a best accuracy, the state of a generator
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    *_in("numpy", "dtype ndarray bool_ float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64"),
    *_in("numpy.dtypes", "Float16DType Float32DType Float64DType BoolDType StrDType BytesDType ObjectDType"),
    *_in("numpy.dtypes", "Int8DType Int16DType Int32DType Int64DType UInt8DType UInt16DType UInt32DType UInt64DType"),
    *_in("numpy.dtypes", "Complex64DType Complex128DType DateTime64DType TimeDelta64DType LongDType ULongDType"),
)
TRAINERS = (
    *_in("deepspeed.runtime.fp16.loss_scaler", "LossScaler DynamicLossScaler LossScalerBase"),
    *_in("deepspeed.runtime.zero.config", "ZeroStageEnum"),
    *_in("deepspeed.utils.tensor_fragment", "fragment_address"),
    *_in("mmengine.logging.history_buffer", "HistoryBuffer"),
    *(
        f"{place}.callbacks.{name}"
        for place in ("lightning.pytorch", "pytorch_lightning")
        for name in ("model_checkpoint.ModelCheckpoint", "early_stopping.EarlyStopping")
    ),
    "torch.torch_version.TorchVersion",
)
PLAIN = (
    *_in("builtins", "bool bytes dict float frozenset int list object range slice str tuple"),
    *_in("types", "SimpleNamespace"),
    *_in("datetime", "date datetime time timedelta timezone"),
    *_in("decimal", "Decimal"),
    *_in("uuid", "UUID"),
    *_in("copyreg", "_reconstructor"),
)
INERT = (*PATHS, *OMEGACONF, *NUMPY, *TRAINERS, *PLAIN)
