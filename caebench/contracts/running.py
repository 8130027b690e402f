"""Jobs of a check, run in this process in a folder of their own, as finished jobs that others read."""

from pathlib import Path
from typing import Any

from caebench.files.atomic import write_json
from caebench.files.layout import RESULT
from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.stages import join_group, run_stage
from caebench.training.run import Run


def run_inputs(job: Job, root: Path) -> dict[str, Path]:
    """The folders of a job's inputs, which are run if they were not."""
    return {role: _run_once(parent, root) for role, parent in job.inputs.items()}


def run(job: Job, folder: Path, root: Path) -> tuple[dict[str, Any], Run]:
    """The numbers of a job that is run in a folder, and what it has noted."""
    folder.mkdir(parents=True)
    made = Run(folder, run_inputs(job, root), Site(device="cpu"), join_group("cpu"))
    return run_stage(job.config, made), made


def _run_once(job: Job, root: Path) -> Path:
    folder = root / job.name
    if not (folder / RESULT).exists():
        numbers, made = run(job, folder, root)
        content = {"metrics": numbers, "fingerprints": made.fingerprints}
        write_json(folder / RESULT, content)
    return folder
