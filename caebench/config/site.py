"""Where jobs run: data roots, store, devices. A site changes no number and enters no job id."""

import os
import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError, model_validator

from caebench.config.base import Config
from caebench.config.calibration import Calibration, read_calibration
from caebench.config.variants import VARIANTS, Variant, VariantName

SITES = Path("~/.config/caebench/sites")
LOCAL = ("/tmp/", "/var/tmp/", "/dev/shm/")
LOADERS = 8  # processes that load data for a CUDA device
ScaleName = Literal["nano", "lab", "paper"]
Resize = Literal["loader", "device"]


class Roots(Config):
    """Folders of the real data sets, as `caebench data check` expects them."""

    imagenet1k: Path | None = None  # holds train/ and val/
    food101: Path | None = None  # holds food-101/
    clipart: Path | None = None  # DomainNet: holds clipart/ and clipart_{train,test}.txt
    sketch: Path | None = None  # DomainNet: holds sketch/ and sketch_{train,test}.txt
    ade20k: Path | None = None  # ADEChallengeData2016 itself
    coco: Path | None = None  # holds train2017/, val2017/, annotations/


class Extras(Config):
    """More of ImageNet than the paper uses: each that is named adds a number to ImageNet's k-NN."""

    v2: Path | None = None  # ImageNet-V2, matched frequency: holds the folders 0 to 999
    real: Path | None = None  # ReaL's real.json
    subsets: Path | None = None  # holds SimCLR's 1percent.txt and 10percent.txt


class Assets(Config):
    """Files that users bring themselves."""

    dalle_encoder: Path | None = None
    folder: Path | None = None  # where `caebench assets` keeps what it fetches


class Resources(Config):
    """What a job asks of SLURM, where it differs from the site's."""

    partition: str | None = None
    nodes: PositiveInt | None = None
    gpus_per_node: NonNegativeInt | None = None
    tasks_per_node: PositiveInt | None = None
    cpus_per_task: PositiveInt | None = None
    memory_gb: PositiveFloat | None = None  # of a node
    minutes: PositiveInt | None = None


class Slurm(Config):
    """How this cluster takes jobs. One process a GPU; without GPUs, `tasks_per_node` processes."""

    partition: str | None = None  # None: the cluster's default
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: PositiveInt = 1
    gpus_per_node: NonNegativeInt = 1
    tasks_per_node: PositiveInt | None = None  # None: one a GPU, or one
    cpus_per_task: PositiveInt = 8
    memory_gb: PositiveFloat | None = None  # of a node; None: the partition's default
    minutes: PositiveInt = 24 * 60  # of one slice: a job goes on in the next for as long as it takes
    warning_seconds: PositiveInt = 120  # before a slice ends, to save in
    setup: tuple[str, ...] = ()  # shell lines before a job: modules, environment
    venv: Path | None = None  # activated before a job, in place of the interpreter that submits
    container: Path | None = None  # an Apptainer image whose python runs the job
    binds: tuple[str, ...] = ()  # more folders that the container sees, as Apptainer writes them; the store is one
    python: str | None = None  # any other command in place of the interpreter
    srun: tuple[str, ...] = ()  # more options of srun, such as --container-image=... of pyxis
    max_array: PositiveInt = 1000  # jobs in an array; scontrol show config: MaxArraySize - 1
    stages: dict[str, Resources] = Field(default_factory=dict)  # kind of job -> what it asks instead

    def of(self, kind: str) -> "Slurm":
        """The settings for a kind of job."""
        changes = self.stages.get(kind, Resources()).model_dump(exclude_none=True)
        return self.replace(**changes)

    @model_validator(mode="after")
    def _check_interpreter(self) -> Self:
        given = [name for name in ("venv", "container", "python") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both say which python runs a job: keep one")
        return self

    @property
    def num_processes(self) -> int:
        """Processes of a job."""
        return self.nodes * (self.tasks_per_node or max(1, self.gpus_per_node))


class Site(Config):
    """One machine or cluster."""

    store: Path = Path(".caebench/store")
    scale: ScaleName = "nano"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_workers: NonNegativeInt | None = None  # data loading processes a device; None: 8 on CUDA, 0 on CPU
    per_device_batch: PositiveInt = 256  # the most images a device takes at once; the rest is accumulated
    per_device_batch_of: dict[VariantName, PositiveInt] = Field(
        default_factory=dict[VariantName, PositiveInt]
    )  # where a variant's differs
    resize: Resize = "loader"  # where plain crops become views; "device" frees the loaders of it (ADR 21)
    compile: bool = False
    activation_checkpointing: bool = False  # encoder blocks run again in the backward pass: memory for time
    shard: bool = False  # pretrainings lie in shares over the processes (FSDP2): memory for traffic between them
    code_cache_gb: PositiveFloat | None = None  # the most disk for a cache of codes that pretrainings share; None: none
    checkpoint_minutes: PositiveFloat = 10.0
    data: Roots = Roots()
    extras: Extras = Extras()
    assets: Assets = Assets()
    slurm: Slurm | None = None  # None: jobs run on this machine
    calibration: Calibration | None = None  # read from a file of its own beside the site's
    shared_store: bool = False  # that a store below /tmp is seen by every node after all

    def among(self, num: int) -> "Site":
        """For one of several processes on a device: its part of the data loaders."""
        shared = max(1, LOADERS // num)
        return self if num == 1 or self.num_workers is not None else self.replace(num_workers=shared)

    def most_images(self, variant: Variant) -> int:
        """The most images that a device takes at once with an encoder of this size."""
        own = (most for name, most in self.per_device_batch_of.items() if VARIANTS[name] == variant)
        return next(own, self.per_device_batch)

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if self.slurm is None:
            return self
        if not self.store.expanduser().is_absolute():
            raise ValueError(f"store is '{self.store}': jobs start in other folders. Give an absolute path")
        if not self.shared_store and str(self.store).startswith(LOCAL):
            raise ValueError(
                f"store is '{self.store}': other nodes do not see it. Name a shared folder, or set shared_store = true"
            )
        return self


def load_site(name: str = "local") -> Site:
    """Read `~/.config/caebench/sites/<name>.toml`; the site `local` needs no file.

    Raises:
        ValueError: the file is missing, is not TOML, or has an unknown or wrong field.
    """
    path = (SITES / f"{name}.toml").expanduser()
    if not path.exists():
        if name == "local":
            return Site.model_validate({**_calibration(name), **_environment()})
        known = sorted(p.stem for p in path.parent.glob("*.toml"))
        raise ValueError(f"{path}: no such site. Known: {', '.join(['local', *known])}. Write the file, or use local.")
    try:
        written = tomllib.loads(path.read_text(encoding="utf8"))
        return Site.model_validate({**_calibration(name), **written, **_environment()})
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not valid TOML: {error}. Correct the file.") from error
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """A validation error in one line: field, value, what is allowed."""
    parts: list[str] = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"]) or "(top level)"
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown field '{field}'")
        elif item["type"] == "missing":
            parts.append(f"missing field '{field}'")
        else:
            parts.append(f"field '{field}' is {item['input']!r}: {item['msg'].lower()}")
    return "; ".join(parts)


def _calibration(name: str) -> dict[str, Calibration]:
    found = read_calibration(SITES, name)
    return {} if found is None else {"calibration": found}


def _environment() -> dict[str, str]:
    """CAEBENCH_STORE overrides the store, so that a test or a scratch run needs no site file."""
    return {"store": os.environ["CAEBENCH_STORE"]} if "CAEBENCH_STORE" in os.environ else {}
