"""What the verbs of jobs, tables and data print with `--json`: every key, and what its value is."""

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, JsonValue, with_config
from typing_extensions import TypedDict

closed = with_config(ConfigDict(extra="forbid", strict=True))
open_ended = with_config(ConfigDict(extra="allow", strict=True))  # of a record whose fields are a config's

State = Literal[
    *("done", "failed", "damaged", "unknown", "blocked", "cancelled", "lost", "todo", "paused"),
    *("queued", "held", "suspended", "running"),
]
CellState = Literal["done", "quoted", "not run"]


@closed
class Suite(TypedDict):
    suite: str
    title: str
    table: int | None
    rows: int
    columns: list[str]


@closed
class Job(TypedDict):
    id: str
    name: str
    kind: str
    state: State
    inputs: dict[str, str]
    gpu_hours: float
    disk_bytes: int


@closed
class Cache(TypedDict):
    name: str
    epochs: int
    image_bytes: int
    disk_bytes: int
    shared_by: int
    gpu_hours: float
    gpu_hours_saved: float


@closed
class Plan(TypedDict):
    suite: str
    scale: str
    jobs_asked: int
    jobs_unique: int
    hours: str
    gpu_hours_naive: float
    gpu_hours: float
    gpu_hours_to_do: float
    disk_bytes: int
    passes: list[list[str]]
    gpu_hours_saved_by_passes: float
    notes: list[str]
    code_caches: list[Cache]
    jobs: list[Job]


@closed
class Status(TypedDict):
    job: str
    state: State
    detail: str
    folder: str
    progress: str
    share: float | None
    loss: float | None
    images_per_second: float | None
    slices: int
    num_slices: int | None
    hours_used: float
    hours_left: float | None
    expected_end: str | None
    scheduler: str | None
    scheduler_id: str | None
    log: list[str]


@closed
class WhyJob(TypedDict):
    folder: str
    state: State
    changed_input: str | None
    id: str
    kind: str
    config: dict[str, JsonValue]
    inputs: dict[str, str]
    aids: NotRequired[dict[str, str]]
    suite: NotRequired[str]
    gpu_hours: NotRequired[float]
    provenance: NotRequired[dict[str, JsonValue]]
    result: NotRequired[dict[str, JsonValue]]
    failure: NotRequired[dict[str, JsonValue]]
    nearest: "Nearest | None"


Nearest = closed(TypedDict("Nearest", {"job": str, "differs in": list[str]}))


@closed
class Made(TypedDict):
    job: str
    state: State
    detail: str | None
    commit: str | None
    dirty: bool | None
    finished: str | None
    folder: str | None
    log: str | None


@closed
class Number(Made):
    suite: str
    row: str
    row_id: str | None
    column: str
    header: str
    metric: str
    seed: int
    draw: int | None
    value: float | None
    best: float | None
    low: float | None
    high: float | None
    protocol: str | None
    depends_on: list[Made]


@closed
class Cell(TypedDict):
    row_id: str | None
    row: str
    column: str
    header: str
    metric: str
    state: CellState
    mean: float | None
    spread: float | None
    standard_error: float | None
    noise_from: str | None
    n: int
    best: float | None
    best_of: str | None
    values: list[float]
    seeds: list[int]
    published: dict[str, float | None]
    sources: dict[str, str]
    gap: float | None
    verdict: str | None
    mark: str
    rates: dict[str, float | None]
    deviations: list[str]
    protocols: list[str]
    jobs: list[str]


@closed
class WhyCell(Cell):
    suite: str
    scale: str
    numbers: list[Number]
    protocol: dict[str, JsonValue] | None


@closed
class Differing(TypedDict):
    field: str
    a: NotRequired[JsonValue]
    b: NotRequired[JsonValue]


@closed
class Difference(TypedDict):
    a: str
    b: str
    kind: str
    equal: bool
    differences: list[Differing]
    notes: list[str]


@closed
class Finding(TypedDict):
    what: str
    state: Literal["ok", "note", "bad"]
    found: str
    do: str


@closed
class Stored(TypedDict):
    jobs: int
    done: int
    bytes: int


@closed
class Unplanned(TypedDict):
    job: str
    bytes: int
    state: State
    newer: str | None
    kept_for: str | None


@closed
class Store(TypedDict):
    store: str
    bytes: int
    kinds: dict[str, Stored]
    others: dict[str, int]
    unplanned: list[Unplanned]


@open_ended
class ClaimPart(TypedDict):
    status: str
    difference: float | None
    low: float | None
    high: float | None
    missing: list[str]


@closed
class Claim(TypedDict):
    statement: str
    section: str
    status: str
    on_published: str
    parts: list[ClaimPart]
    parts_on_published: list[ClaimPart]


@closed
class Subset(TypedDict):
    fingerprint: str
    num_classes: int
    num_train: int
    num_val: int


@closed
class Report(TypedDict):
    suite: str
    definition: str
    title: str
    table: int | None
    scale: str
    subsets: dict[str, Subset]
    cells: list[Cell]
    claims: list[Claim]
    notes: list[str]


@closed
class Problem(TypedDict):
    where: str
    what: str
    do: str


@closed
class DataReport(TypedDict):
    name: str
    root: str
    ok: bool
    counts: dict[str, int]
    problems: list[Problem]
    notes: list[str]
    fingerprint: str | None


@closed
class Checked(TypedDict):
    file: str
    mistakes: list[str]
    rows: NotRequired[int]
    columns: NotRequired[int]
    claims: NotRequired[int]
    jobs: NotRequired[int]
    notes: NotRequired[list[str]]


Site = closed(
    TypedDict(
        "Site",
        {
            "time limit, minutes": int | None,
            "host": str,
            "device": str,
            "processes": int,
            "hear each other": bool,
            "through": str,
            "seconds to meet": float,
            "all-reduce, GB/s": float | None,
            "store is shared": bool,
            "free disk, GB": float,
        },
    )
)
Failed = closed(TypedDict("Failed", {"time limit, minutes": int | None, "failed": str}))

SCHEMAS: dict[str, Any] = {
    "ls": list[Suite],
    "plan": Plan,
    "status": list[Status],
    "why": WhyJob | WhyCell,
    "diff": Difference,
    "doctor": list[Finding],
    "store": Store,
    "suites check": list[Checked],
    "report": Report | list[Report] | list[Job],
    "site check": dict[str, Site | Failed],
    "data check": list[DataReport],
}
