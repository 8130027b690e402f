"""Every kind of input by its name."""

from tests.fuzz.kinds.arguments import Arguments
from tests.fuzz.kinds.base import Kind
from tests.fuzz.kinds.sites import Sites
from tests.fuzz.kinds.stores import Stores
from tests.fuzz.kinds.suites import Suites

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Suites(), Sites(), Stores(), Arguments())}
