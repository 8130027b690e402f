"""What the verbs of files and of speed print with `--json`: `assets`, `ckpt`, `bench`."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import JsonValue
from typing_extensions import TypedDict

from tests.schemas.jobs import closed

Results = TypeVar("Results")
Sides = dict[Literal["ours", "reference"], float]
Rounds = dict[str, list[float]]


@closed
class Noted(TypedDict):
    file: str
    sha256: str
    bytes: int
    seen: str


@closed
class Asset(TypedDict):
    name: str
    state: str
    file: str
    url: str
    sha256: str
    published: str
    bytes: int | None
    by_hand: bool
    licence: str
    purpose: str
    family: str | None
    pixel_stats: str | None
    source: str
    noted: Noted | None


@closed
class Checked(TypedDict):
    files: dict[str, Noted]
    problems: dict[str, str]


@closed
class Inspection(TypedDict):
    path: str
    sha256: str
    bytes: int
    format: str
    family: str
    title: str
    parity: str
    entry: str
    wrappers: list[str]
    width: int
    blocks: int
    num_heads: int | None
    patch_size: int
    image_size: int
    grid: list[int]
    positions: str
    relative_position_bias: Literal["none", "block", "shared"]
    layer_scale: bool
    norm_eps: float
    activation: Literal["gelu", "quick_gelu", "gelu_tanh"] | None
    architecture: dict[str, JsonValue]
    features: list[Literal["cls", "mean", "last4"]]
    pixel_stats: str | None
    pixel_source: str | None
    num_parameters: int
    precision: list[str]
    not_finite: dict[str, int]
    encoder: dict[str, str]
    unused_keys: dict[str, str]
    problems: list[str]


@closed
class Import(TypedDict):
    id: str
    name: str
    folder: str
    row: str
    pixel_stats: str
    pixel_source: str


@closed
class Export(TypedDict):
    path: str
    layout: str
    notes: list[str]


@closed
class Check(TypedDict):
    what: str
    state: Literal["ok", "bad", "skipped"]
    found: str


Family = closed(
    TypedDict(
        "Family",
        {
            "family": str,
            "what": str,
            "layouts read": str,
            "pixels": str,
            "heads by width": str,
            "parity reached": str,
            "layout read in": str,
        },
    )
)


@closed
class Measurement(TypedDict, Generic[Results]):
    version: Literal[1]
    bench: str
    device: str
    on_cpu: bool
    measured: str
    commit: str | None
    python: str
    packages: dict[str, str | None]
    settings: dict[str, JsonValue]
    results: Results


@closed
class Ratio(TypedDict):
    median: float
    low: float
    high: float


@closed
class Compared(TypedDict):
    seconds: Sides
    rounds: Rounds
    images_per_second: Sides
    time_ratio: Ratio
    speedup: float
    flops_per_image: float
    peak_flops_per_second: float
    share_of_peak: Sides


@closed
class Losses(TypedDict):
    ours: list[float]
    reference: list[float]
    largest_relative_difference: float


@closed
class Stages(TypedDict):
    seconds: dict[str, float]
    sum_over_step: float


@closed
class Memory(TypedDict):
    state_bytes: int
    step_bytes: int | None


@closed
class Compilations(TypedDict):
    first_step: int
    later: int


@closed
class Pretraining(Compared):
    losses: Losses
    stages: Stages
    memory: dict[Literal["ours", "reference"], Memory]
    encoders: dict[Literal["ours", "reference"], int]
    compilations: Compilations


@closed
class Probing(Compared):
    largest_difference: float
    heads: dict[Literal["linear", "attentive"], dict[Literal["images_per_second"], float]]


@closed
class Pass(TypedDict):
    epochs: int
    images: dict[Literal["train", "val", "side"], int]
    seconds: dict[str, float]
    rounds: Rounds
    pass_over_linear: Ratio
    with_knn_over_linear: Ratio


@closed
class Loading(TypedDict):
    file: dict[Literal["width", "height", "quality", "mean_bytes"], float]
    images_per_second: dict[str, float]
    time_over_decoding: dict[str, Ratio]


@closed
class Planning(TypedDict):
    scale: str
    seeds: int
    jobs: int
    seconds: float
    rounds: list[float]
    cost_seconds: float
    jobs_per_second: float


@closed
class Switched(Ratio):
    kept: bool
    what: str


@closed
class Ablation(TypedDict):
    seconds: dict[str, float]
    rounds: Rounds
    over_ours: dict[str, Switched]


@closed
class Calibration(TypedDict):
    device: str
    measured: str
    training: float
    frozen: float
    variant: str
    batch: int
    precision: str
    commit: str | None


@closed
class Property(TypedDict):
    check: str
    ok: bool
    what: str
    do: str
    seconds: float


@closed
class Contract(TypedDict):
    name: str
    kind: Literal["method", "evaluation", "data set", "suite"]
    checks: list[Property]


SCHEMAS: dict[str, Any] = {
    "check": Contract,
    "assets list": list[Asset],
    "assets fetch": Checked,
    "assets verify": Checked,
    "ckpt inspect": Inspection,
    "ckpt families": list[Family],
    "ckpt import": Import,
    "ckpt verify": list[Check],
    "ckpt export": Export,
    "bench pretrain": Measurement[Pretraining],
    "bench probe": Measurement[Probing],
    "bench pass": Measurement[Pass],
    "bench data": Measurement[Loading],
    "bench plan": Measurement[Planning],
    "bench ablate": Measurement[Ablation],
    "bench calibrate": Calibration,
}
