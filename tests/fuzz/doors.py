"""Where a command's real work begins, which takes minutes or a network: fuzzed commands end there with status 0."""

import importlib
import sys
from typing import Any, NoReturn

DOORS = (  # everything before them is fuzzed
    "caebench.execution.local.run_plan",  # training
    "caebench.execution.worker.run_job",
    "caebench.datasets.synthetic.world.render",  # pictures for half a minute
    "caebench.cli.bench._measure",  # speed
    "caebench.bench.planning.bench_plan",
    "caebench.bench.calibrating.calibrate",
)


def close() -> None:
    """Have this process stop at each door."""
    for name in DOORS:
        module, _, function = name.rpartition(".")
        owner = importlib.import_module(module)
        assert callable(getattr(owner, function)), f"{name}: gone. Name the door anew."
        setattr(owner, function, stop)


def stop(*_: Any, **__: Any) -> NoReturn:
    """In place of the work."""
    sys.exit(0)
