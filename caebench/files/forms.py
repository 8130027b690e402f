"""The forms of a job's files: which fields a reader relies on, of which types, and what a number can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from caebench.files.layout import ATTEMPTS, FAILURE, INPUTS, JOB, LEASE, METRICS, PROVENANCE, RESULT, id_in, is_id

PERCENTAGES = ("top1", "mIoU", "mAcc", "aAcc", "AP_")  # how the names of metrics begin that are from 0 to 100
Number = Annotated[float, Field(allow_inf_nan=False)]
Names = dict[str, str]
Count = Annotated[int, Field(ge=1, lt=2**31)]  # also the kernel's numbers of processes
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Form(BaseModel):
    """Fields of a file; others are free."""

    model_config = ConfigDict(strict=True)


class JobForm(Form):
    """What a job is."""

    id: str
    kind: str
    config: dict[str, Any]
    inputs: Names
    optional_inputs: Names = {}
    label: str = ""
    gpu_hours: Number | None = None


class ResultForm(Form):
    """What it found; results of earlier versions have fewer fields."""

    id: str = ""
    metrics: dict[str, Number] = {}
    intervals: dict[str, Annotated[list[Number], Field(min_length=2, max_length=2)] | None] = {}
    files: Names = {}
    fingerprints: dict[str, str] = {}
    inputs_finished: dict[str, str | None] = {}
    finished: str | None = None


class RecordForm(JobForm, ResultForm):
    """A record in git: both, with how it was made."""

    id: str
    provenance: "ProvenanceForm"


class PluginForm(Form):
    """The code of a plug-in."""

    module: str
    sha256: str
    commit: str | None = None
    dirty: bool | None = None


class ProvenanceForm(Form):
    """How it was made."""

    commit: str | None = None
    dirty: bool | None = None
    packages: dict[str, str | None] = {}
    plugins: list[PluginForm] = []


class FailureForm(Form):
    """Why it stopped."""

    error: str = ""
    trace: str = ""


class HolderForm(Form):
    """The scheduler job that holds a lease, or made an attempt; older code wrote its id under the scheduler's name."""

    host: str = ""
    scheduler: str | None = None
    scheduler_id: str | int | None = None


class LeaseForm(HolderForm):
    """Who runs it."""

    pid: Count = 1
    started: str | None = None
    purpose: str = "run"
    user: str = ""
    stale_after: Amount | None = None
    time: str = ""
    cancelled: str | None = None


class AttemptForm(HolderForm):
    """A line about an attempt."""

    pid: Count | None = None
    begins: str | None = None
    ends: str | None = None
    seen: Amount | None = None
    processes: Count = 1
    shared_by: Count = 1
    stopped_by: str | None = None


class MetricsForm(Form):
    """A line of a training."""

    step: Amount | None = None
    epoch: Amount | None = None
    loss: Number | None = None
    images_per_second: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = None


class MappingForm(Form):
    """The use of every key of a file that was imported; `left` in older ones."""

    mapped: Names
    unused_keys: Names = {}
    left: Names = {}


class InputsForm(RootModel[dict[str, str | None]]):
    """When the result of each input was finished."""

    model_config = ConfigDict(strict=True)


FORMS: Mapping[str, type[BaseModel]] = {
    JOB: JobForm,
    RESULT: ResultForm,
    PROVENANCE: ProvenanceForm,
    FAILURE: FailureForm,
    LEASE: LeaseForm,
    ATTEMPTS: AttemptForm,
    METRICS: MetricsForm,
    INPUTS: InputsForm,
}


def fault(path: Path, content: Mapping[str, Any], name: str = "") -> str | None:
    """What a file of a job, or a line in it, says that caebench does not write; None: nothing.

    `name` is that of the layout, where the file has another.
    """
    if (form := FORMS.get(name or path.name)) is None:
        return None
    if wrong := misfit(form, content):
        return wrong
    own = id_in(path.parent.name)
    if is_id(own) and (other := content.get("id") or own) != own:
        return f"it is of job {other}"
    if path.name == JOB and own in map(id_in, content["inputs"].values()):
        return "the job is its own input"
    metrics: Mapping[str, float] = content.get("metrics", {}) if path.name == RESULT else {}
    wrong = (
        f"{name} is {value:g} %" for name, value in metrics.items() if _is_percentage(name) and not 0 <= value <= 100
    )
    return next(wrong, None)


def misfit(form: type[BaseModel], content: Any) -> str | None:
    """The first field in which a content differs from its form, in words; None: in none."""
    try:
        form.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"no {place}" if first["type"] == "missing" else f"{place} is {str(first['input'])[:40]!r}"
    return None


def _is_percentage(name: str) -> bool:
    return name.startswith(PERCENTAGES)
