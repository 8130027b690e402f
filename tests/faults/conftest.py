"""The finished suite that the faults strike, and a store of links to it: those of the end-to-end tests."""

from tests.e2e.conftest import bench as bench
from tests.e2e.conftest import quickstart as quickstart
