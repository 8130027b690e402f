"""What the jobs of a plan cost in total: probes in a shared-encoder pass cost one pass."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caebench.planning.passes import find_passes, passes, with_configs
from caebench.specs.arithmetic import encode
from caebench.specs.calibration import Calibration
from caebench.specs.cost import frozen_speed, gpu_hours, hours_at
from caebench.specs.job import Job, encoder_size

RESAMPLED = 0.26  # of 500 x 375 images, crops of 0.08 to 1 whose first box does not fit: two views, not one


@dataclass(frozen=True)
class Cost:
    """The total cost of some jobs; hours are added up only here."""

    hours: Mapping[str, float]  # of each job, by id
    passes: Sequence[Sequence[Job]]  # probes that run in one shared-encoder pass
    hours_saved: float  # by the passes

    @classmethod
    def of(cls, jobs: Sequence[Job], calibration: Calibration | None = None) -> "Cost":
        """Of jobs that run in one plan; hours are the calibrated device's, or an A100's."""
        shared = passes(find_passes(jobs))
        saved = math.fsum(gpu_hours_of_pass_saved(group, calibration) for group in shared)
        return cls({job.id: gpu_hours(job, calibration) for job in jobs}, shared, saved)

    @property
    def total(self) -> float:
        """GPU-hours of all of them."""
        return math.fsum(self.hours.values()) - self.hours_saved


def gpu_hours_of_pass_saved(group: Sequence[Job], calibration: Calibration | None = None) -> float:
    """Hours that a shared pass saves: the training images of all but the longest probe, less resampled crops."""
    probes = [(encode(encoder_size(job.inputs), config.image_size), config) for job, config in with_configs(group)]
    seen = [forward * config.data.size.train * config.optimization.epochs for forward, config in probes]
    crops = {config.crop_rule() for _, config in probes}
    once = max(seen) * (1.0 + (RESAMPLED if len(crops) > 1 else 0.0))
    return hours_at(sum(seen) - once, frozen_speed(calibration))
