"""`caebench store`: the store's disk usage, and deletion of jobs that no suite plans any more."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caebench.cli.options import JsonOption, SiteOption, StoreOption, nothing_in, print_json

if TYPE_CHECKING:
    from caebench.store.store import Store
    from caebench.store.usage import Stored


def store(
    site: SiteOption = "local",
    store: StoreOption = None,
    suite: Annotated[
        list[str] | None, typer.Option("--suite", help="A suite file whose jobs are also kept; can be repeated.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete jobs that no suite plans any more, after asking.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Show bytes by kind of job, and jobs that no suite plans any more: of older versions, defaults or suites.

    Jobs that a suite of this folder or of caebench plans, at any scale, with any seed in the store, are kept. So are
    their dependencies, running jobs, and imported encoders and subsets of data sets with all that depends on them.
    """
    from caebench.cli.show import print_table
    from caebench.files.atomic import server_time
    from caebench.files.sizes import size
    from caebench.planning.setup import open_store, planned_ids
    from caebench.specs.site import load_site
    from caebench.store.usage import delete as delete_folders
    from caebench.store.usage import look_through, others

    where = open_store(load_site(site), store)
    if delete:
        server_time(where.root)  # which jobs run is judged by its clock
    found = look_through(where, planned_ids(where, suite or ()))
    going = [one for one in found if one.is_deletable]
    if json:
        print_json(_facts(where, found, others(where)))
    else:
        notes = [] if found else [nothing_in(where.root, site, store)]
        print_table(f"Store {where.root}", ["kind", "jobs", "done", "bytes"], _by_kind(found, others(where)), notes)
        if going:
            rows = [[*_named(one), size(one.num_bytes), one.newer or "no suite plans it"] for one in going]
            print()
            print_table("Not planned any more: --delete deletes them", ["job", "name", "bytes", "today's id"], rows)
    if not delete or not going:
        return
    if not yes and not typer.confirm(f"Delete {len(going)} jobs, {size(sum(one.num_bytes for one in going))}?"):
        raise typer.Exit(2)
    print(f"{size(delete_folders(going))} freed")


def _named(one: "Stored") -> tuple[str, str]:
    from caebench.files.layout import id_in

    name = one.facts()["job"]
    return id_in(name), name.rpartition("-")[0]


def _facts(where: "Store", found: "list[Stored]", others: dict[str, int]) -> dict[str, Any]:
    kinds = sorted({one.kind for one in found})
    return {
        "store": str(where.root),
        "bytes": sum(one.num_bytes for one in found) + sum(others.values()),
        "kinds": {
            kind: {
                "jobs": sum(one.kind == kind for one in found),
                "done": sum(one.kind == kind and one.state == "done" for one in found),
                "bytes": sum(one.num_bytes for one in found if one.kind == kind),
            }
            for kind in kinds
        },
        "others": others,
        "unplanned": [one.facts() for one in found if one.is_unplanned],
    }


def _by_kind(found: "list[Stored]", others: dict[str, int]) -> list[list[str]]:
    from caebench.files.sizes import size

    jobs = Counter(one.kind for one in found)
    done = Counter(one.kind for one in found if one.state == "done")
    weight = Counter[str]()
    for one in found:
        weight[one.kind] += one.num_bytes
    rows = [[kind, str(jobs[kind]), str(done[kind]), size(num)] for kind, num in weight.most_common()]
    total = ["all", str(len(found)), str(done.total()), size(weight.total() + sum(others.values()))]
    return [*rows, *([name, "", "", size(num)] for name, num in others.items()), total]
