"""The probe job that `caebench site check` runs on each partition."""

import platform
import shutil
import time
from pathlib import Path
from typing import Any

from caebench.execution.schedulers.slurm import rendezvous
from caebench.specs.site import Site


class Probe:
    """A job that checks its environment in every process; the first process reports."""

    def __init__(self, site: Site, token: Path) -> None:
        self.site, self.token = site, token

    def __call__(self) -> dict[str, Any]:
        """Host, device, whether the store is shared, free disk, and whether and how fast the processes communicate."""
        from caebench.execution.attempt import device_name, join
        from caebench.execution.schedulers.slurm.payload import own_id

        rendezvous.export(own_id())
        started = time.monotonic()
        group = join(self.site)
        hear, met = _hear(group), time.monotonic()
        return {
            "host": platform.node(),
            "device": device_name(group.device),
            "processes": group.size,
            "hear each other": hear,
            "through": group.backend,
            "seconds to meet": round(met - started, 1),
            "all-reduce, GB/s": group.speed(),
            "store is shared": self.token.exists(),
            "free disk, GB": round(shutil.disk_usage(self.site.store).free / 1e9, 1),
        }


def _hear(group: Any) -> bool:
    """Whether a sum over all processes is right."""
    return all(group.any([group.is_main])) and not any(group.any([False]))
