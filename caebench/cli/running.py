"""What a run prints before and after its jobs: what it is, how long it takes, what became of it, and what comes next.

Tables go to standard output, and all of this to standard error.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import TextWrapper
from typing import TYPE_CHECKING, NamedTuple

from caebench.cli.options import command, same_again, say

if TYPE_CHECKING:
    from pathlib import Path

    from caebench.execution.local import Outcomes
    from caebench.planning.passes import JobGroups
    from caebench.planning.setup import Setup
    from caebench.report.duration import Durations, Forecast
    from caebench.specs.job import Job

MOST_NAMED = 5  # jobs that a summary names
MOST_WIDE = 40  # characters of a command that a comment still fits behind


@dataclass(frozen=True)
class Asked:
    """What a run was asked for, for the commands that come next."""

    suite: str | None  # as `report --suite` and `retry` find it; None: it is not saved
    scale: str | None = None
    seeds: str | None = None
    site: str = "local"
    store: "Path | None" = None

    def command(self, *words: str, is_of_jobs: bool = False, with_seeds: bool = False) -> str:
        """A command on the same suite and store; one of single jobs takes no scale."""
        scale = None if is_of_jobs else self.scale
        return command(*words, scale=scale, seeds=self.seeds if with_seeds else None, site=self.site, store=self.store)

    @property
    def status(self) -> str:
        """The command that shows the jobs."""
        if self.suite is None:
            return self.command("status", is_of_jobs=True)
        return self.command("status", self.suite, with_seeds=True)


class Outlook(NamedTuple):
    """What a run here will do, and how long that takes."""

    jobs: "list[Job]"  # to run, inputs first
    passes: "JobGroups"
    durations: "Durations"
    forecast: "Forecast"
    num_parallel: int


def look_ahead(setup: "Setup", jobs: "list[Job]", num_parallel: int, separate: bool) -> Outlook:
    """What a run of some missing jobs will do."""
    from caebench.execution.devices import visible_gpus
    from caebench.planning.passes import find_passes
    from caebench.report.duration import Durations

    passes: JobGroups = {} if separate else find_passes(jobs)
    on_gpu = setup.site.device != "cpu" and bool(visible_gpus())
    durations = Durations.of(setup.store, setup.site.calibration, on_gpu)
    return Outlook(jobs, passes, durations, durations.forecast(jobs, passes, num_parallel), num_parallel)


def device_hours(setup: "Setup", missing: "list[Job]") -> str:
    """What some jobs cost on the devices of a cluster."""
    from caebench.cli.show_plan import show_hours
    from caebench.planning.cost import Cost
    from caebench.specs.cost import describe_hours

    calibration = setup.site.calibration
    return f"{show_hours(Cost.of(missing, calibration).total)} {describe_hours(calibration)}"


def print_header(setup: "Setup", num_jobs: int, missing: "Sequence[Job]", time: str) -> None:
    """What is run, where, on which data, how much is to do, and how long that takes."""
    from caebench.cli.show import PlainConsole

    seeds = sorted({job.seed for job in setup.plans.jobs if job.seed is not None})
    what = f"{_title(setup)}, {setup.scale.name.upper()} scale" + (f", seed {_listed(seeds)}" if seeds else "")
    done = num_jobs - len(missing)
    lines = {
        "store": str(setup.store.root),
        "data": _data(setup.plans.jobs),
        "jobs": f"{len(missing)} to do, {done} done already" if missing else f"all {num_jobs} are done already",
        **({"time": time} if missing else {}),
    }
    PlainConsole(stderr=True).print(what, style="bold", soft_wrap=True)
    for name, words in lines.items():
        _tell(f"  {name:<6} {words}", indent=9)


def _tell(words: str, indent: int = 0) -> None:
    """Print prose on standard error, folded between words on a terminal."""
    from caebench.cli.show import PlainConsole
    from caebench.files.visible import visible

    out = PlainConsole(stderr=True)
    fold = TextWrapper(out.width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
    out.print(fold.fill(visible(words)) if out.is_terminal else words, soft_wrap=True)


def _title(setup: "Setup") -> str:
    plans = setup.plans.plans
    return plans[0].suite.title if len(plans) == 1 else f"{len(plans)} suites"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _data(jobs: "list[Job]") -> str:
    from caebench.specs.inputs.dataset import RealData, SyntheticData

    configs = [getattr(job.config, "data", job.config) for job in jobs]
    real = sorted({config.name for config in configs if isinstance(config, RealData)})
    rendered = sorted({config.name for config in configs if isinstance(config, SyntheticData)})
    words = [f"real: {', '.join(real)}"] if real else []
    words += [f"synthetic: pictures rendered in place of {', '.join(rendered)}"] if rendered else []
    return "; ".join(words) or "none"


def summarise(setup: "Setup", outcomes: "Outcomes", asked: Asked) -> None:
    """What became of the jobs of a run that has not been stopped, and what to do next."""
    counts = {kind: outcomes.count(kind) for kind in ("done", "cached", "failed", "blocked", "stopped")}
    words = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    _tell(f"{words}. Stored in {setup.store.root}. Next:")
    failed = [job for job in setup.plans.jobs if outcomes.by_id.get(job.id) == "failed"]
    lines = _after_failures(failed, asked) if failed else _after_success(setup, asked)
    if not failed and outcomes.count("blocked", "stopped"):
        lines = [(same_again(), "runs what is left"), (asked.status, "every job")]
    for line, what in lines:
        is_short = len(line) <= MOST_WIDE
        say(f"  {line:<{MOST_WIDE}}  # {what}" if is_short else f"  # {what}\n  {line}", to=sys.stderr)


def _after_failures(failed: "list[Job]", asked: Asked) -> list[tuple[str, str]]:
    first = failed[0].id
    retried = first if asked.suite is None else asked.suite
    retry = asked.command("retry", retried, is_of_jobs=asked.suite is None, with_seeds=asked.suite is not None)
    return [
        (asked.command("why", first, is_of_jobs=True), "the error, with its traceback"),
        (asked.status, "every job"),
        (retry, "once the cause is mended"),
    ]


def _after_success(setup: "Setup", asked: Asked) -> list[tuple[str, str]]:
    jobs = [cell.jobs[0].id for plan in setup.plans.plans for cell in plan.cells if cell.jobs]
    why = [(asked.command("why", job, is_of_jobs=True), "where a number comes from") for job in jobs[:1]]
    if asked.suite is None:
        return [*why, (f"{same_again()} --save NAME.toml", "keeps the suite, for `report`")]
    which = ["--all"] if len(setup.plans.plans) > 1 else ["--suite", asked.suite]
    return [(asked.command("report", *which, with_seeds=True), "the table; other formats: --format"), *why]


def summarise_stop(setup: "Setup", outcomes: "Outcomes") -> None:
    """What became of the jobs of a run that a signal stopped, and how it goes on."""
    from caebench.files.layout import CHECKPOINTS

    jobs = setup.plans.jobs
    ended = {kind: [job for job in jobs if outcomes.by_id.get(job.id) == kind] for kind in ("stopped", "failed")}
    done, waiting = outcomes.count("done", "cached"), outcomes.count("blocked")
    saved = [job for job in ended["stopped"] if any((setup.store.folder(job) / CHECKPOINTS).glob("*"))]
    lost = [job for job in ended["stopped"] if job not in saved]
    counts = [
        f"{done} done",
        f"{len(saved)} interrupted with a checkpoint" if saved else "",
        f"{len(lost)} interrupted without one, which start again" if lost else "",
        f"{len(ended['failed'])} failed" if ended["failed"] else "",
        f"{waiting} not started" if waiting else "",
    ]
    _tell(f"Interrupted: {', '.join(filter(None, counts))}.")
    for job in saved[:MOST_NAMED]:
        say(f"  saved: {job.name}", to=sys.stderr)
    say(f"Resume with: {same_again()}", to=sys.stderr)
