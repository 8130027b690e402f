"""A plug-in of caebench: a pretraining method, an evaluation and a data set from outside of its tree.

It is found where the package is installed, by its entry points, and where a site file names `caebench_toy` in plugins,
by the attributes below. A text names an object that is read later: what imports torch is read once a job runs.
"""

from caebench_toy.specs import SPECS as SPECS
from caebench_toy.stripes import DATASETS as DATASETS

STAGES = "caebench_toy.stages:STAGES"
METHODS = "caebench_toy.stages:METHODS"
