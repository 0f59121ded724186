"""``hush show``, ``hush traces`` and ``hush traces prune`` as commands: the functions of `_show` and `_traces`."""

from __future__ import annotations

from cyclopts import App, Parameter

# Tests give these functions a store to read from and a file to write to; on the command line they are no options.
_OPTIONS = Parameter(parse=r"^(?!(store|file)$)", show_default=False, negative=())


def __getattr__(name: str) -> App:
    made = App(name=name, default_parameter=_OPTIONS, help_epilogue="")
    if name == "show":
        from hush.cli._show import show

        made.usage = "Usage: hush show [OPTIONS] [RUN]"
        made.default(show)
    elif name == "traces":
        from hush.cli._traces import prune, traces

        made.default(traces)
        made.command(prune, name="prune")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return made
