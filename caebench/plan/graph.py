"""From a suite to jobs: rows times columns become a graph in which equal jobs are one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from caebench.config.augmentation import Mixing
from caebench.config.base import Config
from caebench.config.codes import Codes
from caebench.config.compared import BEiT, DeiT, Method
from caebench.config.data import EmbeddedData, RealData, size_of
from caebench.config.dense import KNNSegmentation, LearningRateGrid, Segmentation
from caebench.config.method import CAE, DVAE, DALLETarget, DVAETarget, Released
from caebench.config.stage import Finetune, Imported, Pretrain, PretrainingCost, RandomEncoder, num_patches
from caebench.config.variants import VARIANTS
from caebench.plan.identity import job_id, kind_of
from caebench.plan.scale import Scale
from caebench.suites import Column, Row, SuiteError, Table

COMMON = ("real", "embedded", "released", "dvae", "codes")  # kinds of job that many others rest on
HEADS = {"linear": "linear", "cascade_mask_rcnn": "cascade"}
STAGE_FOLDERS = {
    **{"real": "data", "embedded": "data"},
    **{"dvae": "tokenizer", "released": "tokenizer"},
    "random_encoder": "pretrain",
    "imported": "pretrain",
    "pretraining_cost": "cost",
}


@dataclass(frozen=True)
class Job:
    """A config with its input jobs. Two jobs with one id are one job."""

    config: Config
    inputs: dict[str, "Job"] = field(default_factory=dict[str, "Job"])  # role -> job
    aids: dict[str, "Job"] = field(default_factory=dict[str, "Job"])  # role -> job that only makes it faster: in no id

    @cached_property
    def id(self) -> str:
        """The identity, from config and inputs."""
        return job_id(self.config, {role: job.id for role, job in self.inputs.items()})

    @property
    def parents(self) -> "list[Job]":
        """What must be done before it starts."""
        return [*self.inputs.values(), *self.aids.values()]

    @property
    def kind(self) -> str:
        """The kind of stage."""
        return kind_of(self.config)

    @property
    def seed(self) -> int | None:
        """Its own; its encoder's where it draws nothing, as k-NN; None where its numbers depend on none."""
        own: int | None = getattr(self.config, "seed", None)
        return self.inputs["encoder"].seed if own is None and "encoder" in self.inputs else own

    @property
    def name(self) -> str:
        """`stage/slug-id`, the job's folder in the store: the slug is for people, the id for truth."""
        return f"{STAGE_FOLDERS.get(self.kind, self.kind)}/{self.slug}-{self.id}"

    @cached_property
    def slug(self) -> str:
        """What the job is, in a few words."""
        match self.config:
            case PretrainingCost() as c:
                return make_job(c.pretraining).slug
            case Pretrain() as c:
                return f"{_method(c.method)}-{c.variant}-{c.optimization.epochs}e-s{c.seed}"
            case RandomEncoder() as c:
                return f"random-{c.variant}-s{c.seed}"
            case Imported() as c:
                return f"{c.family}-{c.sha256[:8]}"
            case RealData() | Released() as c:
                return c.name
            case EmbeddedData() as c:
                return f"{c.name}-embedded"
            case DVAE() as c:
                return f"dvae-{c.vocabulary}-{c.data.name}"
            case Codes() as c:
                return f"{c.target.kind}-{c.data.name}-{c.epochs}e-s{c.seed}"
            case LearningRateGrid() as c:
                return f"{c.task.data.name}-{self.inputs['encoder'].slug}"
            case _ if "encoder" in self.inputs:
                return f"{_task(self.config)}-{self.inputs['encoder'].slug}"
            case _:
                return self.kind

    def ancestors(self) -> "list[Job]":
        """This job's parents and theirs, each once, parents first."""
        found: dict[str, Job] = {}
        for job in self.parents:
            for ancestor in (*job.ancestors(), job):
                found.setdefault(ancestor.id, ancestor)
        return list(found.values())


def _method(method: Method) -> str:
    """The method, and its target where it has a choice of them."""
    return f"{method.kind}-{method.target.kind}" if isinstance(method, CAE | BEiT) else method.kind


def _task(config: Any) -> str:
    """The data set, and what tells jobs on it apart: the head where there are several, UperNet's rate."""
    head = getattr(config, "head", "")
    detail = f"lr{config.optimization.lr:g}" if head == "upernet" else HEADS.get(head)
    return f"{config.data.name}-{detail}" if detail else config.data.name


def make_job(config: Config, **inputs: Job) -> Job:
    """A job with the inputs that its config implies: its data, its tokenizer, a job a learning rate.

    Raises:
        ValueError: the config cannot run.
    """
    _refuse_large_batch(config)
    match config:
        case (
            Pretrain(method=CAE(target=DVAETarget(tokenizer=tokenizer)) | BEiT(target=DVAETarget(tokenizer=tokenizer)))
            | Codes(target=DVAETarget(tokenizer=tokenizer))
        ):
            inputs["tokenizer"] = make_job(tokenizer)
        case Pretrain(method=CAE(target=DALLETarget()) | BEiT(target=DALLETarget())) | Codes(target=DALLETarget()):
            inputs["tokenizer"] = Job(Released(kind="released", name="dalle_encoder"))
        case Finetune(mixing=mixing) | Pretrain(method=DeiT(mixing=mixing)):
            _refuse_broken_groups(mixing, config.optimization.global_batch)
        case PretrainingCost():
            inputs = dict(make_job(config.pretraining).inputs)
        case Segmentation():
            _refuse_broken_patches(inputs["encoder"], config.crop_size, "crop_size")
        case KNNSegmentation():
            _refuse_broken_patches(inputs["encoder"], config.image_size, "image_size")
        case LearningRateGrid():
            inputs |= {config.role(rate): make_job(config.at(rate), encoder=inputs["encoder"]) for rate in config.rates}
        case _:
            pass
    if isinstance(data := getattr(config, "data", None), RealData | EmbeddedData):
        origin: Any = data.rendered_by if isinstance(data, EmbeddedData) else data  # frozen, so it has a hash
        inputs["data"] = _data_job(origin)
    return Job(config, inputs)


@cache
def _data_job(data: RealData | EmbeddedData) -> Job:
    """One object for all that rest on it, so that its id is worked out once."""
    return Job(data)


def _refuse_large_batch(config: Config) -> None:
    data, optimization = getattr(config, "data", None), getattr(config, "optimization", None)
    if data is not None and optimization is not None and size_of(data).train < optimization.global_batch:
        raise ValueError(
            f"field 'optimization.global_batch' is {optimization.global_batch}: {data.name} has only "
            f"{size_of(data).train} training images. Choose a smaller batch."
        )


def _refuse_broken_groups(mixing: Mixing, global_batch: int) -> None:
    if global_batch % mixing.group:
        raise ValueError(f"field 'mixing.group' is {mixing.group}: it must divide the global batch {global_batch}.")


def _refuse_broken_patches(encoder: Job, image_size: int, field: str) -> None:
    if isinstance(encoder.config, Imported):
        num_patches(image_size, encoder.config.size, field)
    elif isinstance(encoder.config, Pretrain | RandomEncoder):
        num_patches(image_size, VARIANTS[encoder.config.variant], field)


@dataclass(frozen=True)
class Cell:
    """A place in the table, and the jobs that fill it, one a seed; none where the row is quoted."""

    row: Row
    column: Column
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Plan:
    """A suite at a scale: its cells and the jobs under them."""

    table: Table
    scale: Scale
    cells: tuple[Cell, ...]

    @cached_property
    def jobs(self) -> list[Job]:
        """Every job once, inputs before what rests on them."""
        unique: dict[str, Job] = {}
        for cell in self.cells:
            for target in cell.jobs:
                for job in (*target.ancestors(), target):
                    unique.setdefault(job.id, job)
        return list(unique.values())

    @property
    def jobs_asked(self) -> int:
        """Jobs if nothing were shared: each cell's own and all its ancestors."""
        asked = [cell for cell in self.cells if not cell.column.is_extra]
        return sum(1 + len(target.ancestors()) for cell in asked for target in cell.jobs)


@dataclass(frozen=True)
class Plans:
    """Suites planned together: equal jobs are one, whichever suite asks for them."""

    name: str
    plans: tuple[Plan, ...]

    @cached_property
    def jobs(self) -> list[Job]:
        """Every job once, inputs before what rests on them."""
        return list({job.id: job for plan in self.plans for job in plan.jobs}.values())

    @property
    def jobs_asked(self) -> int:
        """Jobs if nothing were shared, within a suite or between them."""
        return sum(plan.jobs_asked for plan in self.plans)


def make_plan(table: Table, scale: Scale, seeds: Sequence[int] = (0,)) -> Plan:
    """Every row times every column, at a scale, for each seed.

    Raises:
        SuiteError: a row or column names what does not exist, or asks for what cannot run.
    """
    cells: list[Cell] = []
    for row in table.rows:
        encoders = [] if row.quoted else _encoders(table, row, scale, seeds)
        for column in table.columns.values():
            jobs = _evaluate(table, row, column, scale, encoders) if encoders else []
            cells.append(Cell(row, column, tuple({job.id: job for job in jobs}.values())))
    return Plan(table, scale, tuple(cells))


def _encoders(table: Table, row: Row, scale: Scale, seeds: Sequence[int]) -> list[tuple[Job, int]]:
    try:
        source = scale.apply(table.pretraining(row))
        return [
            (make_job(source if isinstance(source, Imported) else source.replace(seed=seed)), seed) for seed in seeds
        ]
    except SuiteError:
        raise
    except ValueError as error:
        raise SuiteError(table.where(row), str(error)) from error


def _evaluate(table: Table, row: Row, column: Column, scale: Scale, encoders: list[tuple[Job, int]]) -> list[Job]:
    """A cell's jobs, one an encoder; each takes the seed of its pretraining where it draws anything."""
    config = table.evaluation(row, column)
    if isinstance(config, PretrainingCost):  # no number of it depends on a seed
        return [make_job(scale.apply(config))]
    seeded = "seed" in type(config).model_fields
    try:
        config = scale.apply(config)
        return [
            make_job(config.replace(seed=seed) if seeded else config, encoder=encoder) for encoder, seed in encoders
        ]
    except ValueError as error:
        raise SuiteError(table.where(row), str(error)) from error
