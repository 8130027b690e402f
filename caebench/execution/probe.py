"""What a cluster is like from the inside: `caebench site check` runs this as a job on each partition."""

import platform
import shutil
import time
from pathlib import Path
from typing import Any

from caebench.config.site import Site
from caebench.execution import rendezvous


class Probe:
    """A job that looks around in every process of it and answers from the first one."""

    def __init__(self, site: Site, token: Path) -> None:
        self.site, self.token = site, token

    def __call__(self) -> dict[str, Any]:
        """Host, device, whether the store is shared, free disk; whether the processes hear each other, and how fast."""
        from caebench.execution.payload import own_id
        from caebench.execution.worker import device_name, join

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
