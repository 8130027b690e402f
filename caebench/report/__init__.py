"""From finished jobs to tables. `load` is the way in for notebooks and scripts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] pandas ships no types


def load(
    suite: str,
    *,
    scale: str | None = None,
    seeds: Sequence[int] | None = None,
    site: str = "local",
    store: Path | None = None,
    results: Path = Path("results"),
) -> "DataFrame":
    """Every number of a suite, or of `all`: one line per cell and seed.

    Columns: suite, row, row_id, column (its key), header, metric, seed, job, state, value, low and high (the 95 %
    interval of the evaluation's own sampling error), protocol (equal for numbers made in the same way), commit. `value`
    is missing if the job is not done. Numbers come from the store, then from `results/<scale>/records/`.

    Raises:
        ValueError: there is no such suite, scale or site.
    """
    from caebench.files.paths import expand
    from caebench.planning.site_data import scale_on
    from caebench.report.reports import Reports
    from caebench.report.table import frame
    from caebench.specs.site import load_site
    from caebench.store.records import Records, records_folder
    from caebench.store.store import Store
    from caebench.suites import loading as suites

    where = load_site(site)
    jobs = Store(expand(store or where.store))
    chosen = scale_on(where, scale, jobs)
    records = Records(jobs, records_folder(chosen.name, results))
    reports = Reports(chosen, records, [], seeds)
    return frame([reports.plan(table) for table in suites.load_all(suite)], records)
