"""A job's progress, hours used and hours left: from its own speed, or from the plan before it has one."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import PositiveInt, TypeAdapter

from caebench.files.lines import read_lines
from caebench.specs.inputs.dataset import Data

TAIL = 2048  # bytes of metrics.jsonl: its last half a dozen lines
DATA: TypeAdapter[Any] = TypeAdapter(Data)


class Pace(NamedTuple):
    """A training's progress, from its last lines of metrics."""

    done: float  # epochs, or steps of a dense task
    total: float
    unit: str  # of both: epoch or step
    images_per_second: float | None
    seconds_left: float | None  # of training, without the evaluations after each epoch
    loss: float | None


class Length(NamedTuple):
    """How much a job trains."""

    total: PositiveInt
    unit: str
    per_unit: PositiveInt  # images


LENGTH = TypeAdapter(Length)


class Slices(NamedTuple):
    """A job's slices of time, which a scheduler limits."""

    number: int  # of those begun
    total: int | None  # expected, from its pace or its plan; None: unknown

    def __str__(self) -> str:
        return f"{self.number} of {self.total}" if self.total else str(self.number or "")


def read_pace(path: Path, config: Mapping[str, Any]) -> Pace | None:
    """The pace of a job that trains; None before its first line, and for jobs that do not train."""
    lines, length = read_lines(path, TAIL), _length(config)
    if not lines or length is None or (done := lines[-1].get(length.unit)) is None:
        return None
    total, unit, per_unit = length
    speed = _speed(lines)
    left = max(0, total - done) * per_unit / speed if speed else None
    return Pace(
        done, total, unit, speed, left, next((line["loss"] for line in reversed(lines) if "loss" in line), None)
    )


def _length(config: Mapping[str, Any]) -> Length | None:
    """How much a job trains; None if it does not, or its config is of another version of caebench."""
    try:
        optimization = config["optimization"]
        if "iterations" in optimization:
            return LENGTH.validate_python((optimization["iterations"], "step", optimization["global_batch"]))
        return LENGTH.validate_python(
            (optimization["epochs"], "epoch", DATA.validate_python(config["data"]).size.train)
        )
    except (KeyError, TypeError, ValueError):
        return None


def _speed(lines: Sequence[Mapping[str, Any]]) -> float | None:
    """Images per second over the last lines, each of which covers the same number of images."""
    speeds = [line["images_per_second"] for line in lines if line.get("images_per_second")]
    return len(speeds) / math.fsum(1 / speed for speed in speeds) if speeds else None


def hours_used(tries: Sequence[Mapping[str, Any]], seen: float | None, now: float | None) -> float:
    """Device-hours of all attempts. A killed attempt counts to its last activity, a running one to `now`.

    Args:
        tries: `attempts` of the job.
        seen: the last activity of the last attempt, in seconds since the epoch.
        now: the present, if the last attempt runs.
    """
    total = 0.0
    for number, attempt in enumerate(tries):
        if (begins := _moment(attempt["begins"])) is None:
            continue
        if "ends" in attempt:
            end = _moment(attempt["ends"]) or begins
        elif number + 1 < len(tries):
            end = tries[number + 1].get("seen") or begins
        else:
            end = now or seen or begins
        shared_by = attempt.get("shared_by", 1)  # jobs of one shared pass: each counts its part
        total += max(0.0, end - begins) * attempt.get("processes", 1) / shared_by / 3600
    return total


def slices(number: int, left: float | None, limit: float | None, used: float | None) -> Slices:
    """How many slices a job has begun and will have, from the seconds that are left.

    Args:
        number: slices begun.
        left: seconds of work that are left.
        limit: seconds of a slice.
        used: seconds of the running slice; None: none is running.
    """
    if left is None or not limit:
        return Slices(number, None)
    rest = left if used is None else left - max(0.0, limit - used)
    least = 1 if used is None else 0  # a job that is not running needs at least one more
    return Slices(number, number + max(least, math.ceil(rest / limit)))


def _moment(text: str | None) -> float | None:
    """A time that `atomic.now` has written, in seconds since the epoch; None: it is none."""
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except (ValueError, OverflowError):
        return None
