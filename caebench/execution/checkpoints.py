"""Released checkpoints, for the command line: the door to the half that reads tensors. Imported where it is used."""

from pathlib import Path

from caebench.config.families import Inspection


def inspect(path: Path, num_heads: int | None, family: str | None) -> Inspection:
    """See `caebench.models.released.inspecting.inspect`."""
    from caebench.models.released import inspecting

    return inspecting.inspect(path, num_heads, family)
