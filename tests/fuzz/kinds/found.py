"""Inputs that were a finding once: each is a small file in `tests/fuzz/found`."""

from functools import cached_property
from pathlib import Path
from random import Random

from tests.fuzz.case import Case
from tests.fuzz.kinds.base import Files, Kind

FOLDER = Path(__file__).parents[1] / "found"


class Found:
    """The saved inputs of a kind, one after another."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.name, self.needs_torch = kind, f"found {kind.name}", kind.needs_torch

    @cached_property
    def listed(self) -> list[Case]:
        """All of them, in the order of their names."""
        return [Case.read(path) for path in sorted(FOLDER.glob(f"{self.kind.name}-*.json"))]

    def base(self, scratch: Path) -> Files:
        return self.kind.base(scratch)

    def case(self, rng: Random, base: Files) -> Case:
        return rng.choice(self.listed)
