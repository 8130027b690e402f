"""What goes wrong with data on disk, said to the person who can mend it."""

from pathlib import Path


class DataError(ValueError):
    """A data set that is missing, empty or not what its layout promises: where, what, and what to do."""

    def __init__(self, where: Path | str, what: str, do: str) -> None:
        super().__init__(f"{where}: {what}. {do}")
        self.where, self.what, self.do = where, what, do

    def __reduce__(self) -> tuple[type["DataError"], tuple[Path | str, str, str]]:
        """Keep all three parts when a loader's worker process hands the error on."""
        return type(self), (self.where, self.what, self.do)
