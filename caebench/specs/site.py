"""Where jobs run: data roots, store, devices. A site changes no number and enters no job id."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from caebench.datasets.own.formats import FORMATS, UNUSED
from caebench.datasets.own.layout import VAL_SHARE
from caebench.datasets.registry import PUBLISHED
from caebench.files.paths import SITES, STORE, expand
from caebench.files.toml import read_toml
from caebench.specs import plugins
from caebench.specs.base import Config, UserPath, is_table
from caebench.specs.calibration import Calibration, read_calibration
from caebench.specs.did_you_mean import suggest
from caebench.specs.mistakes import describe
from caebench.specs.own_data import DataName, FormatName, OwnLayout, Place
from caebench.specs.plugin import check_module
from caebench.specs.scheduler import SchedulerSection
from caebench.specs.slurm import Slurm, check_store
from caebench.specs.variants import VARIANTS, Variant, VariantName

SCHEDULERS = ("slurm",)  # the sections that name a scheduler: each is a field of Site, and a name in leases
LOCAL = ("/tmp/", "/var/tmp/", "/dev/shm/")  # nosec B108 # named to refuse a shared store there
LOADERS = 8  # processes that load data for a CUDA device
ScaleName = Literal["nano", "lab", "nano-real", "lab-real", "paper"]
Resize = Literal["loader", "device"]
ModuleName = Annotated[str, AfterValidator(check_module)]


class Assets(Config):
    """Files that users bring themselves."""

    dalle_encoder: UserPath | None = None
    """DALL-E's published `encoder.pkl`; read without executing any code in it."""
    folder: UserPath | None = None
    """Where `caebench assets` keeps what it fetches."""


class DataFolder(Config):
    """Where a data set is; written as a path alone where it is the whole set."""

    root: UserPath
    """The folder or file; see `caebench doctor` for what each data set wants."""
    subset: bool = False
    """What is there is a part of the published set: a data set of its own, in every id on it (ADR 30)."""
    format: FormatName | None = None
    """What is there is a data set of yours, in this format (ADR 41)."""
    train: Place | None = None
    """Of yours: the folder or list of the training images; without it `train` or `training`."""
    val: Place | None = None
    """Of yours: that of the validation images; without it `val`, `valid`, `validation`, `test` or `testing`."""
    val_share: float = Field(default=VAL_SHARE, gt=0.0, lt=1.0)
    """Of yours: the share of each class that is held out where there are no validation images."""
    num_classes: PositiveInt | None = None
    """Of yours, in format `segmentation`: the number of classes, where no `classes.txt` names them."""

    @property
    def layout(self) -> OwnLayout | None:
        """How a folder of a user's own is laid out; None: the data set is a published one."""
        if self.format is None:
            return None
        return OwnLayout(**{field: getattr(self, field) for field in OwnLayout.model_fields})

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A path alone is allowed, too."""
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    @model_validator(mode="before")
    @classmethod
    def _read_path(cls, content: Any) -> Any:
        if isinstance(content, str | Path):
            return {"root": expand(Path(content))}  # a mistake in it is the data set's, which has no field `root`
        if not is_table(content) and not isinstance(content, DataFolder):
            raise ValueError("give a path, or a table: { root = PATH, subset = true }")
        return content


class DataTable:
    """Marks the table of data sets: editors know the published names, and what any other needs."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A published set is a path or a table, any other a table with a format."""
        table = handler(schema)
        folder, own = table["additionalProperties"], {"type": "object", "required": ["root", "format"]}
        others = {"allOf": [folder, own]}
        return {**table, "properties": dict.fromkeys(PUBLISHED, folder), "additionalProperties": others}


def check_folder(name: str, folder: DataFolder) -> None:
    """Refuse a folder that is neither a published data set's nor clearly a user's own.

    Raises:
        ValueError: its name and what is said of it do not go together.
    """
    if name in PUBLISHED and folder.format is not None:
        raise ValueError(
            f"[data.{name}] format: {name} is a published data set, whose layout is known. Choose another name"
        )
    if name not in PUBLISHED and folder.format is None:
        raise ValueError(
            f"[data.{name}]: data set '{name}': unknown.{suggest(name, PUBLISHED)} Known: {', '.join(PUBLISHED)}. To a "
            f'folder of yours add format = "imagefolder"; formats: {", ".join(FORMATS)}'
        )
    if folder.format is not None and folder.subset:
        raise ValueError(
            f"[data.{name}] subset = true: it is a folder of yours, which is always read as it is. Leave it out"
        )
    own_fields = {"train", "val", "val_share", "num_classes"}
    told = {field for field, about in DataFolder.model_fields.items() if getattr(folder, field) != about.default}
    if folder.format is None and (set_fields := told & own_fields):
        raise ValueError(f"[data.{name}] {min(set_fields)}: the layout of {name} is known. Leave it out")
    if folder.format is not None and (unused := told & UNUSED.get(folder.format, {}).keys()):
        field = min(unused)
        raise ValueError(f"[data.{name}] {field}: {UNUSED[folder.format][field]}. Leave it out")
    if folder.subset and PUBLISHED[name].reads:
        known = PUBLISHED[name].reads[0].name
        raise ValueError(
            f"[data.{name}] subset = true: {name} goes with the whole {known}, so it has no subsets. Leave it out"
        )


class Site(Config):
    """One machine or cluster."""

    store: UserPath = STORE
    """The folder of job folders. With a scheduler it is absolute, and every node sees it."""
    scale: ScaleName = "nano"
    """The scale that commands take without `--scale`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """The device of jobs; `auto`: CUDA where there is one."""
    num_workers: NonNegativeInt | None = None
    """Data loading processes per device; without it 8 on CUDA, 0 on a CPU."""
    per_device_batch: PositiveInt = 256
    """The most images that a device takes at once; the rest is accumulated."""
    per_device_batch_of: dict[VariantName, PositiveInt] = Field(default_factory=dict[VariantName, PositiveInt])
    """The same for single variants, where it differs."""
    resize: Resize = "loader"
    """Where plain crops are resized; `device` frees the loaders of it, with the same pixels (ADR 21)."""
    compile: bool = False
    """Compile encoder blocks."""
    activation_checkpointing: bool = False
    """Encoder blocks run again in the backward pass: less memory, more time."""
    shard: bool = False
    """Pretrainings are sharded over the processes (FSDP2, ADR 22): less memory, more traffic."""
    code_cache_gb: PositiveFloat | None = None
    """The most disk for a cache of codes that pretrainings share (ADR 19); without it there is none."""
    checkpoint_minutes: PositiveFloat = 10.0
    """Minutes between two checkpoints."""
    stale_after_minutes: PositiveFloat = 15.0
    """Minutes without a heartbeat after which others may take over a running job."""
    data: Annotated[dict[DataName, DataFolder], DataTable] = Field(default_factory=dict[DataName, DataFolder])
    """Where each data set is: a path, or a table for a part of one or for one of yours; see `caebench data check`."""
    plugins: tuple[ModuleName, ...] = ()
    """Modules of your own with methods, evaluations or data sets; each is imported by every command (ADR 42)."""
    plugins_path: tuple[UserPath, ...] = ()
    """Folders, given in full, in which these modules are looked for after the installed ones."""
    assets: Assets = Assets()
    """Files that users bring themselves."""
    slurm: Slurm | None = None
    """How the cluster takes jobs; without it jobs run on this machine."""
    calibration: Calibration | None = None
    """Speeds of the site's device; `caebench bench calibrate` writes them next to the site's file."""
    shared_store: bool = False
    """A store below /tmp is seen by every node after all."""

    @property
    def scheduler(self) -> str | None:
        """The name of the scheduler that takes this site's jobs; None: they run on this machine."""
        return next((name for name in SCHEDULERS if getattr(self, name) is not None), None)

    @property
    def section(self) -> SchedulerSection | None:
        """What the file says of that scheduler."""
        return None if self.scheduler is None else getattr(self, self.scheduler)

    @property
    def roots(self) -> dict[str, Path]:
        """The folders of the data sets."""
        return {name: folder.root for name, folder in self.data.items()}

    def among(self, num: int) -> "Site":
        """For one of several processes on a device: its part of the data loaders."""
        shared = max(1, LOADERS // num)
        return self if num == 1 or self.num_workers is not None else self.replace(num_workers=shared)

    def most_images(self, variant: Variant) -> int:
        """The most images that a device takes at once with an encoder of this size."""
        own = (most for name, most in self.per_device_batch_of.items() if VARIANTS[name] == variant)
        return next(own, self.per_device_batch)

    @model_validator(mode="before")
    @classmethod
    def _check_sections(cls, content: Any) -> Any:
        if is_table(content) and content.get("store") == "":
            raise ValueError("store is empty. Name a folder, or leave the field out")
        if is_table(content) and "extras" in content:
            names = ", ".join(f"{name} ({known.layout})" for name, known in PUBLISHED.items() if known.reads)
            raise ValueError(f"[extras] is no section any more. Name in [data] what it had: {names}")
        return content

    @model_validator(mode="after")
    def _check_plugins_path(self) -> Self:
        if relative := [str(folder) for folder in self.plugins_path if not folder.is_absolute()]:
            why = "commands and jobs start in other folders. Give an absolute path"
            raise ValueError(f"plugins_path has '{relative[0]}': {why}")
        return self

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        for name, folder in self.data.items():
            check_folder(name, folder)
        return self

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if self.scheduler is None:
            return self
        if not self.store.is_absolute():
            raise ValueError(f"store is '{self.store}': jobs start in other folders. Give an absolute path")
        if self.slurm is not None:
            check_store(self.store)
        if not self.shared_store and str(self.store).startswith(LOCAL):
            raise ValueError(
                f"store is '{self.store}': other nodes do not see it. Name a shared folder, or set shared_store = true"
            )
        return self


def load_site(name: str = "local", broken_plugins: bool = False) -> Site:
    """Read `~/.config/caebench/sites/<name>.toml`; the site `local` needs no file.

    Its plug-ins are registered first, since [data] may name a data set of theirs. With `broken_plugins`, those that
    cannot be are left out.

    Raises:
        ValueError: the file is missing, is not TOML, has an unknown or wrong field, or names a broken plug-in.
    """
    problems = list(plugins.problems(*plugins.of_site(name)))
    if problems and not broken_plugins:
        raise plugins.PluginError(problems[0])
    try:
        path = expand(SITES / f"{name}.toml")
    except ValueError:  # no home folder: only a site with a file needs one
        if name != "local":
            raise
        return Site.model_validate(_environment())
    if not path.exists():
        if name == "local":
            return Site.model_validate({**_calibration(name), **_environment()})
        known = list(dict.fromkeys(["local", *sorted(p.stem for p in path.parent.glob("*.toml"))]))
        hint = suggest(name, known)
        raise ValueError(f"{path}: no such site.{hint} Known: {', '.join(known)}. Write the file, or use local.")
    written = read_toml(path)
    try:
        return Site.model_validate({**_calibration(name), **written, **_environment()})
    except ValidationError as error:
        if problems:
            raise plugins.PluginError(problems[0]) from error
        raise ValueError(f"{path}: {describe(error, Site)}. Correct the file.") from error


def _calibration(name: str) -> dict[str, Calibration]:
    found = read_calibration(SITES, name)
    return {} if found is None else {"calibration": found}


def _environment() -> dict[str, str]:
    """CAEBENCH_STORE overrides the store, so that a test or a scratch run needs no site file."""
    store = os.environ.get("CAEBENCH_STORE")  # empty is as if it were not set
    return {"store": str(expand(Path(store)))} if store else {}
