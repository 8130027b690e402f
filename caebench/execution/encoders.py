"""The encoders that `caebench eval` is given: files, which are imported, and jobs and rows, which have one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from caebench.execution import checkpoints
from caebench.execution.checkpoints import TIMM, Given
from caebench.files.layout import ID_LENGTH
from caebench.files.paths import expand
from caebench.planning.graph import encoder_jobs
from caebench.specs.inputs.imported import Imported
from caebench.specs.job import EncoderSpec, Job
from caebench.specs.scale import Scale
from caebench.specs.site import Site
from caebench.store.store import Store
from caebench.suites.evaluation import suite_row
from caebench.suites.loading import every

Table = dict[str, Any]
DIGITS = set("0123456789abcdef")


def require_one_file(names: Sequence[str], given: Given) -> None:
    """Refuse what is said of a file where there are several, or none: of which it is said cannot be known.

    Raises:
        ValueError: such an option is given.
    """
    options = {
        "--family": given.family,
        "--num-heads": given.num_heads,
        "--pixel-stats": given.pixel_stats,
        "--activation": given.activation,
    }
    files = [name for name in dict.fromkeys(names) if name.startswith(TIMM) or expand(Path(name)).exists()]
    for option, value in options.items():
        if value is not None and len(files) != 1:
            raise ValueError(
                f"{option} {value}: it is said of one file, and here are {len(files) or 'none'}. Import each with its "
                f"own: caebench ckpt import FILE {option} ...; eval takes the job's id in place of the file."
            )


def encoder_rows(
    names: Sequence[str], weights: Sequence[Path], given: Given, store: Store, site: Site, scale: Scale
) -> tuple[list[Table], dict[str, str]]:
    """A row of a suite for each encoder, each once and with a label of its own; and the file of each label, if any.

    Args:
        names: files, `timm:NAME` of timm's networks, ids of jobs, or SUITE/ROW.
        weights: the file of each of timm's networks, in their order.

    Raises:
        ValueError: one is nothing of these, or leaves no encoder; or there are more or fewer weights than networks.
    """
    networks = [name.removeprefix(TIMM) for name in names if name.startswith(TIMM)]
    if weights and len(weights) != len(networks):
        raise ValueError(
            f"--weights: {len(weights)} files for {len(networks)} networks timm:NAME. Give one for each, in order."
        )
    files = dict(zip(networks, map(expand, weights), strict=False))
    rows: list[Table] = []
    origins: list[str] = []
    for name in names:
        origin = name if expand(Path(name)).exists() else ""
        if name.startswith(TIMM):
            network = name.removeprefix(TIMM)
            job, _ = checkpoints.import_timm(network, files.get(network), given, store, site)
            row, origin = checkpoints.row(job, network), str(files[network])
        else:
            row = _row(name, given, store, site, scale)
        if not any(_content(row) == _content(known) for known in rows):
            rows.append(row)
            origins.append(origin)
    labels = [row["label"] for row in rows]
    rows = [{**row, "label": _distinct(row, labels.count(row["label"]) > 1)} for row in rows]
    return rows, {row["label"]: origin for row, origin in zip(rows, origins, strict=True) if origin}


def _content(row: Table) -> Table:
    return {name: value for name, value in row.items() if name != "label"}


def _distinct(row: Table, is_shared: bool) -> str:
    """A label with the beginning of the file's hash, where several files have that name."""
    return f"{row['label']} ({row['sha256'][:8]})" if is_shared and "sha256" in row else row["label"]


def _row(name: str, given: Given, store: Store, site: Site, scale: Scale) -> Table:
    path = expand(Path(name))
    if path.exists():
        job, _ = checkpoints.import_file(path, given, store, site)
        return checkpoints.row(job, path.name.partition(".")[0])
    if DIGITS.issuperset(name) and len(name) <= ID_LENGTH:
        return _row_of(store.read_job(store.find(name)), store, scale)
    if "/" in name and not path.suffix:
        return suite_row(name)
    raise ValueError(
        f"'{name}': no such file. An encoder is a file (.pth, .pt, .bin, .safetensors), the id of a job that left one, "
        "timm:NAME with --weights FILE, or a row of a suite: SUITE/ROW."
    )


def _row_of(job: Job, store: Store, scale: Scale) -> Table:
    """The row that names a job's encoder.

    Raises:
        ValueError: it leaves none, or no suite plans it at this scale.
    """
    if not isinstance(job.config, EncoderSpec):
        raise ValueError(f"{job.name}: it leaves no encoder. Name its pretraining.")
    if isinstance(job.config, Imported):
        return checkpoints.row(checkpoints.with_sizes(job, store), job.slug)
    for name, planned in _planned(scale, job.seed or 0):
        if planned.id == job.id:
            return suite_row(name)
    raise ValueError(f"{job.name}: no suite plans it at {scale.name} scale. Name the row of a suite: SUITE/ROW.")


def _planned(scale: Scale, seed: int) -> Iterator[tuple[str, Job]]:
    """The pretraining of each row of each suite, with the row's name."""
    for suite in every():
        for row in suite.rows:
            if not row.quoted:
                yield f"{suite.name}/{row.key}", encoder_jobs(suite, row, scale, [seed])[0][0]
