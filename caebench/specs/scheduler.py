"""What every scheduler's section of a site file says. A scheduler's own fields stand in a file of their own."""

from abc import abstractmethod
from typing import Self

from pydantic import PositiveInt

from caebench.specs.base import Config


class SchedulerSection(Config):
    """How a cluster takes jobs."""

    partition: str | None = None  # None: the cluster's default
    minutes: PositiveInt = 24 * 60  # of one slice: a job resumes in the next, as often as needed
    warning_seconds: PositiveInt = 120  # before a slice ends, to save in

    @abstractmethod
    def of(self, kind: str) -> Self:
        """The settings for a kind of job."""

    @property
    @abstractmethod
    def num_processes(self) -> int:
        """Processes of a job."""
