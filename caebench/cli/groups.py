"""Groups of verbs that behave in ways of their own: `run NAME` is short for `run suite NAME`."""

from typing import Any

from typer.core import TyperGroup

HELP = ("-h", "--help")


class RunGroup(TyperGroup):
    """Takes `run NAME` and `run --option NAME` for `run suite ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `suite` where no verb of the group stands first."""
        if args and args[0] not in (*self.commands, *HELP):
            args = ["suite", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Its verbs, and suites."""
        (suite,) = [one for one in self.commands["suite"].params if one.name == "suite"]
        return [*super().shell_complete(ctx, incomplete), *suite.shell_complete(ctx, incomplete)]
