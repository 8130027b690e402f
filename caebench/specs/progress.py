"""How a running job reports its progress: what both the worker and the stages that it runs call."""

from collections.abc import Callable, Mapping

Progress = Callable[[int, int, Mapping[str, float]], None]  # done, total, what to show


def no_progress(done: int, total: int, shown: Mapping[str, float]) -> None:
    """For callers that show no progress."""
