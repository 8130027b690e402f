"""What is known of a kind of job (`Spec`), and a job: a spec with its input jobs."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self

from caebench.datasets.registry import PUBLISHED
from caebench.specs.base import Config
from caebench.specs.identity import job_id, kind_of
from caebench.specs.scale import Scale
from caebench.specs.variants import Variant, num_patches

Protocol = dict[str, str]  # how a number was made: aspect -> words
Speed = Literal["training", "frozen", "dense"]  # what a job's hours are reckoned by (`cost`)
SMALL = 100_000  # bytes of a job that leaves no weights: its records, and pictures of a dense task


class Choice(NamedTuple):
    """Two metrics of one result: a choice that was fixed beforehand, and the best of several (ADR 13)."""

    fixed: str
    best: str
    of: str  # what the best is chosen from: `90 epochs`


class Spec(Config):
    """A kind of job: the fields of its config, and what plans, the store and reports ask of the kind."""

    VERSION: ClassVar[int] = 1  # raised when a change of code alters the kind's numbers
    FOLDER: ClassVar[str | None] = None  # of the store; None: its kind
    METRICS: ClassVar[tuple[str, ...]] = ()  # the numbers of a result that a column may show
    LABELS: ClassVar[tuple[str, ...]] = ("class",)  # of the data sets that it can read
    TAKES_FEW_SHOT: ClassVar[bool] = False  # whether it may train on a drawn part of a data set (ADR 43)
    SPEED: ClassVar[Speed] = "training"
    HIGHER_IS_BETTER: ClassVar[bool] = True
    NEEDS_ENCODER: ClassVar[bool] = True  # of an evaluation: that of its row; one without is the same for every seed
    IS_COMMON: ClassVar[bool] = False  # many others depend on such a job

    @classmethod
    def unit(cls, metric: str) -> str:
        """The unit of a metric's values."""
        return "%"

    def versions(self) -> list[int]:
        """What of the id tells of changes of code."""
        return [self.VERSION]

    def slug(self, inputs: "Inputs", mark: str) -> str:
        """What a job is, in a few words; `mark` says what deviates from the recipe."""
        data, encoder = getattr(self, "data", None), inputs.get("encoder")
        parts = [data.short if data is not None else kind_of(self)]
        return f"{parts[0]}{mark}" + (f"-{encoder.slug}" if encoder else "")

    def implied(self, inputs: "Inputs") -> dict[str, "Job"]:
        """The jobs that its config implies: the data set's, and those that it depends on, by their names."""
        data = getattr(self, "data", None)
        if not isinstance(data, Spec):
            return {}
        config: Any = data
        made = _shared(config.whole)  # frozen, so it has a hash
        return {"data": made, **made.inputs}

    def check(self, inputs: "Inputs") -> None:
        """Refuse what cannot run.

        Raises:
            ValueError: the data set has no labels that it can read, too few images or a drawn part, where whole sets
                are read, a batch is larger than the training set, or the encoder's patches do not fill an image.
        """
        if (image_size := getattr(self, "image_size", None)) is not None and "encoder" in inputs:
            num_patches(image_size, encoder_size(inputs))
        data, optimization = getattr(self, "data", None), getattr(self, "optimization", None)
        self.check_labels()
        if data is not None and data.few is not None:
            self._check_few_shot(data)
        if data is not None and optimization is not None and data.size.train < optimization.global_batch:
            raise ValueError(
                f"field 'optimization.global_batch' is {optimization.global_batch}: {data.name} has only "
                f"{data.size.train} training images. Choose a smaller batch."
            )

    def check_labels(self) -> None:
        """Refuse a data set whose labels it does not read.

        Raises:
            ValueError: they are of another kind.
        """
        data = getattr(self, "data", None)
        if data is not None and data.dataset.labels not in self.LABELS:
            fitting = ", ".join(name for name, known in PUBLISHED.items() if known.labels in self.LABELS)
            raise ValueError(
                f"field 'data.name' is '{data.name}': its labels are of another kind ({data.dataset.labels}) than "
                f"{kind_of(self)} reads. Choose one of {fitting}."
            )

    def _check_few_shot(self, data: Any) -> None:
        if not self.TAKES_FEW_SHOT:
            raise ValueError(f"field 'data.few': {kind_of(self)} takes whole data sets, not {data.words}. Remove it.")
        if data.size.train == data.whole_size.train:
            raise ValueError(f"data set '{data.words}': all {data.size.train:,} training images. Leave the suffix out.")
        if data.size.train > data.whole_size.train:
            raise ValueError(
                f"data set '{data.words}': {data.size.num_classes:,} classes need {data.size.train:,} training images, "
                f"and the whole set has {data.whole_size.train:,}. Ask for fewer."
            )

    def fitted(self) -> Self:
        """The config with batch and rate fitted to the number of training images, where the data ask for it."""
        data, optimization = getattr(self, "data", None), getattr(self, "optimization", None)
        if data is None or optimization is None or not data.fits_optimization or not self.TAKES_FEW_SHOT:
            return self
        fitted = optimization.fitted(data.size.train)
        return self if fitted is optimization else self.with_optimization(fitted)

    def with_optimization(self, optimization: Any) -> Self:
        """The config with another optimisation, and what follows from it."""
        changes: dict[str, Any] = {"optimization": optimization}
        return self.replace(**changes)

    def scaled(self, scale: Scale) -> Self:
        """The config at a scale.

        Raises:
            TypeError: the kind does not scale.
        """
        raise TypeError(f"a {type(self).__name__} has no form at scale '{scale.name}': give it a method `scaled`")

    def scale_note(self, scale: Scale) -> str:
        """What a report says under its table of how the kind shrinks; nothing where sizes alone do."""
        return ""

    def multiply_adds(self, inputs: "Inputs") -> float:
        """Of a whole job: a backward pass counts as two forward passes."""
        return 0.0

    def disk_bytes(self, inputs: "Inputs") -> int:
        """What a job leaves, and needs while it runs."""
        return SMALL

    def speed(self) -> Speed:
        """What its hours are reckoned by."""
        return self.SPEED

    def readings(self, metric: str) -> Mapping[float, str]:
        """The metrics of all settings, where a metric is the best of several: setting -> metric."""
        return {}

    def protocol(self) -> Protocol:
        """How the numbers are made: feature, norm, pooling, augmentation, selection, resolution, optimisation."""
        return {}

    def choice(self, metric: str) -> Choice | None:
        """What stands for a metric in every comparison, and its best; None where nothing was chosen."""
        return None


class EncoderSpec(Spec):
    """A job that leaves an encoder."""

    FOLDER: ClassVar[str | None] = "pretrain"

    @property
    @abstractmethod
    def size(self) -> Variant:
        """The encoder's sizes."""

    @property
    def has_class_token(self) -> bool:
        """Whether the encoder has a class token; where it has none, the mean of the patches stands for it (ADR 40)."""
        return True


@dataclass(frozen=True)
class Job:
    """A spec with its input jobs. Two jobs with one id are one job."""

    config: Spec
    inputs: dict[str, "Job"] = field(default_factory=dict[str, "Job"])  # role -> job
    optional_inputs: dict[str, "Job"] = field(default_factory=dict[str, "Job"])  # make it faster only: in no id
    label: str = field(default="", compare=False)  # what deviates from its recipe (`naming`): for people, in no id

    @cached_property
    def id(self) -> str:
        """The identity, from config and inputs."""
        return job_id(self.config, self.config.versions(), {role: job.id for role, job in self.inputs.items()})

    @property
    def parents(self) -> "list[Job]":
        """What must be done before it starts."""
        return [*self.inputs.values(), *self.optional_inputs.values()]

    @property
    def kind(self) -> str:
        """The kind of job."""
        return kind_of(self.config)

    @property
    def seed(self) -> int | None:
        """Its own; its encoder's if it uses no randomness, as k-NN; None if its numbers depend on none."""
        own: int | None = getattr(self.config, "seed", None)
        return self.inputs["encoder"].seed if own is None and "encoder" in self.inputs else own

    @property
    def draw(self) -> int | None:
        """The draw of its few-shot data; None on whole data sets."""
        data = getattr(self.config, "data", None)
        return None if data is None or data.few is None else data.few.draw

    @property
    def name(self) -> str:
        """`kind/slug-id`, the job's folder in the store: the slug is for people, the id is the key."""
        return f"{self.config.FOLDER or self.kind}/{self.slug}-{self.id}"

    @cached_property
    def slug(self) -> str:
        """What the job is, in a few words."""
        return self.config.slug(self.inputs, f"-{self.label}" if self.label else "")

    def ancestors(self) -> "list[Job]":
        """This job's parents and theirs, each once, parents first."""
        found: dict[str, Job] = {}
        for job in self.parents:
            for ancestor in (*job.ancestors(), job):
                found.setdefault(ancestor.id, ancestor)
        return list(found.values())


Inputs = Mapping[str, Job]


def encoder_size(inputs: Inputs) -> Variant:
    """The sizes of the encoder among some inputs."""
    config = inputs["encoder"].config
    assert isinstance(config, EncoderSpec), "no other kind leaves an encoder"
    return config.size


def make_job(config: Spec, label: str = "", /, **inputs: Job) -> Job:
    """A job with the inputs that its config implies.

    Raises:
        ValueError: the config cannot run.
    """
    config.check(inputs)
    return Job(config, {**inputs, **config.implied(inputs)}, label=label)


@cache
def _shared(config: Any) -> Job:
    """One object for all that depend on it, so that its id is worked out once."""
    maker: str | None = config.dataset.rendered_with
    return make_job(config if maker is None else config.replace(name=maker))


def describe_optimization(config: Any) -> Protocol:
    """The optimisation's part of a protocol."""
    epochs = f"{config.epochs} epochs" if hasattr(config, "epochs") else f"{config.iterations} iterations"
    return {
        "epochs": epochs,
        "batch": str(config.global_batch),
        "rate": f"{config.lr:.3g}",
        "precision": config.precision,
    }
