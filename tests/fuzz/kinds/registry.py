"""Every kind of input by its name."""

from tests.fuzz.kinds.annotations import Annotations
from tests.fuzz.kinds.arguments import Arguments
from tests.fuzz.kinds.base import Kind
from tests.fuzz.kinds.checkpoints import Checkpoints
from tests.fuzz.kinds.found import Found
from tests.fuzz.kinds.images import Images
from tests.fuzz.kinds.planted import Planted
from tests.fuzz.kinds.sites import Sites
from tests.fuzz.kinds.stores import Stores
from tests.fuzz.kinds.suites import Suites

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (Suites(), Sites(), Stores(), Checkpoints(), Images(), Annotations(), Arguments())
}
FOUND: dict[str, Kind] = {f"found {name}": Found(kind) for name, kind in KINDS.items()}
EVERY: dict[str, Kind] = {**KINDS, **FOUND, Planted.name: Planted()}
