"""What each kind of job is, and what suites, jobs and sites may say of it. No torch."""

from caebench.specs import plugins
from caebench.specs import registry as registry

plugins.use_installed()
