"""What every evaluation promises: a stage does it, its numbers are those that it declares, and it repeats them."""

import math
import numbers
from pathlib import Path

from caebench.contracts.check import TINY, Broken, Check
from caebench.contracts.running import run
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import Job, Spec, make_job
from caebench.stages import STAGES


def checks(config: Spec, root: Path) -> list[Check]:
    """The checks of an evaluation at scale `check.TINY`; `root` keeps its inputs."""

    def job() -> Job:
        encoder = {"encoder": make_job(TINY.apply(random_encoder()))} if config.NEEDS_ENCODER else {}
        return make_job(config, **encoder)

    return [
        Check("a stage does it", lambda _: is_done(config)),
        Check("it names its metrics", lambda _: names_metrics(config)),
        Check("its numbers are those that it declares, and finite", lambda folder: declares(job(), folder, root)),
        Check("run again, it gives the same numbers", lambda folder: repeats(job(), folder, root)),
    ]


def is_done(config: Spec) -> None:
    """The class has a stage.

    Raises:
        Broken: it has none.
    """
    if (cls := type(config)) not in STAGES:
        raise Broken(
            f"nothing does a {cls.__name__}", f"Add {{{cls.__name__}: your_function}} to STAGES of the plug-in"
        )


def names_metrics(config: Spec) -> None:
    """A column has something to show.

    Raises:
        Broken: it has not.
    """
    if not config.METRICS:
        raise Broken(
            f"{type(config).__name__}.METRICS is empty", "Name the numbers of the result that a column may show"
        )


def declares(job: Job, folder: Path, root: Path) -> None:
    """Every declared metric is in the result, each a finite number, with intervals of metrics only.

    Raises:
        Broken: one is not.
    """
    found, made = run(job, folder / "run", root)
    cls = type(job.config).__name__
    if absent := [name for name in job.config.METRICS if name not in found]:
        raise Broken(
            f"the result has no '{absent[0]}'; it has {', '.join(found)}", f"Correct {cls}.METRICS or the stage"
        )
    for name in job.config.METRICS:
        value = found[name]
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise Broken(f"'{name}' is {value!r}", "Return plain finite numbers")
    if strange := made.intervals.keys() - found.keys():
        raise Broken(f"there is an interval of '{min(strange)}', which is no number of the result", "Name a metric")


def repeats(job: Job, folder: Path, root: Path) -> None:
    """The same job gives the same numbers, so one that was killed and runs again does too.

    Raises:
        Broken: it does not.
    """
    first, second = (run(job, folder / name, root)[0] for name in ("first", "second"))
    for name in job.config.METRICS:
        if first[name] != second[name]:
            do = "Draw from the generators of caebench.data.randomness only"
            raise Broken(f"'{name}' is {first[name]} and then {second[name]}", do)
