"""Which tests are one worker's: those of a file, for its fixtures, and all that use the SLURM cluster."""

from xdist.scheduler.loadscope import LoadScopeScheduling

TOGETHER = ("tests/slurm",)  # folders


class Groups(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:  # the one method that pytest-xdist's own schedulers differ in
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)
