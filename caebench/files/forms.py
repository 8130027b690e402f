"""The forms of a job's files: which fields a reader relies on, of which types, and what a number can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caebench.files.layout import FAILURE, JOB, PROVENANCE, RESULT, id_in, is_id

PERCENTAGES = ("top1", "mIoU", "mAcc", "aAcc", "AP_")  # how the names of metrics begin that are from 0 to 100
Number = Annotated[float, Field(allow_inf_nan=False)]
Names = dict[str, str]


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
    fingerprints: dict[str, Any] = {}
    inputs_finished: dict[str, Any] = {}
    finished: str | None = None


class ProvenanceForm(Form):
    """How it was made."""

    commit: str | None = None
    dirty: bool | None = None
    packages: dict[str, Any] = {}


class FailureForm(Form):
    """Why it stopped."""

    error: str = ""
    trace: str = ""


FORMS: Mapping[str, type[Form]] = {
    JOB: JobForm,
    RESULT: ResultForm,
    PROVENANCE: ProvenanceForm,
    FAILURE: FailureForm,
}


def fault(path: Path, content: Mapping[str, Any]) -> str | None:
    """What a file of a job says that caebench does not write; None: nothing."""
    try:
        FORMS[path.name].model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"no {place}" if first["type"] == "missing" else f"{place} is {str(first['input'])[:40]!r}"
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


def _is_percentage(name: str) -> bool:
    return name.startswith(PERCENTAGES)
