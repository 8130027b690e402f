"""What every scheduler's section of a site file says. A scheduler's own fields stand in a file of their own."""

from abc import abstractmethod
from typing import Annotated, Self

from pydantic import AfterValidator, PositiveInt, model_validator

from caebench.specs.base import Config, OneOf
from caebench.specs.did_you_mean import suggest

KINDS: list[str] = []  # of jobs; `registry` fills it


def _known_kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"no kind of job.{suggest(name, KINDS)} Known: {', '.join(KINDS)}")
    return name


KindName = Annotated[str, AfterValidator(_known_kind), OneOf(KINDS)]


def warning_problem(seconds: int, minutes: int) -> str:
    """Why a job cannot be warned that long before its slice ends; nothing if it can."""
    if seconds < minutes * 60:
        return ""
    return (
        f"warning_seconds is {seconds}, and a slice has {minutes} minutes ({minutes * 60} seconds): a job would be "
        "told to stop as soon as it starts. Give fewer seconds, or more minutes"
    )


class SchedulerSection(Config):
    """How a cluster takes jobs."""

    partition: str | None = None
    """The partition; without it, the cluster's default."""
    minutes: PositiveInt = 24 * 60
    """Minutes of one slice of a job; a job resumes in the next slice, as often as needed."""
    warning_seconds: PositiveInt = 120
    """Seconds before a slice ends, to save in."""

    @model_validator(mode="after")
    def _check_warning(self) -> Self:
        if problem := warning_problem(self.warning_seconds, self.minutes):
            raise ValueError(problem)
        return self

    @abstractmethod
    def of(self, kind: str) -> Self:
        """The settings for a kind of job."""

    @property
    @abstractmethod
    def num_processes(self) -> int:
        """Processes of a job."""
