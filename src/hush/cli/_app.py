"""The commands of ``hush``, and what becomes of what they raise. Each command is imported when it is asked for."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from hush.cli._exit import MEANINGS, Code, Stop, say
from hush.cli._safe import safe

_RUNS = Group("Graphs", sort_key=1)
_LOOKS = Group("What runs left", sort_key=2)
_AROUND = Group("Around them", sort_key=3)

_BRIEF = {"help_epilogue": ""}  # without the exit codes

app = App(
    name="hush",
    help="Run, check and draw graphs, and look at what their runs left.",
    help_epilogue="Exit codes  \n" + "  \n".join(f"{code.value:>3}  {said}" for code, said in MEANINGS.items()),
    help_format="markdown",
    version=lambda: f"hush {import_module('hush').__version__}",
    version_format="plaintext",
    default_parameter=Parameter(show_default=False, negative=()),
    suppress_keyboard_interrupt=False,
)
app["--help"].group = app["--version"].group = (_AROUND,)
app["--help"].help, app["--version"].help = "Show this, or of a command what it takes.", "Show the version."
app["--help"].sort_key = app["--version"].sort_key = 3
app.command(
    "hush.cli._run:run", name="run", sort_key=1, group=_RUNS, help="Run a graph and print what it gave as JSON."
)
app.command(
    "hush.cli._check:check", name="check", sort_key=2, group=_RUNS, help="List everything that is wrong with a graph."
)
app.command(
    "hush.cli._graph:graph", name="graph", sort_key=3, group=_RUNS, help="Draw a graph: text, Mermaid, SVG.", **_BRIEF
)

app.command(
    "hush.cli._looking:show",
    name="show",
    sort_key=1,
    group=_LOOKS,
    help="Show one run: what failed, why, and where the time went.",
)
app.command(
    "hush.cli._looking:traces",
    name="traces",
    sort_key=2,
    group=_LOOKS,
    help="List the runs that were recorded, and remove old ones.",
)

_resources = App(name="resources", group=_AROUND, help="List what a file of resources has, and try whether it works.")
_resources.command("hush.cli._resources:check", name="check", help="Try every resource.")
_resources.command("hush.cli._resources:list_", name="list", help="List the resources by their keys.")
app.command(_resources)
app.command(
    "hush.cli._init:init",
    name="init",
    group=_AROUND,
    sort_key=1,
    help="Make a small project to start from.",
    usage="Usage: hush init [FOLDER]",
    **_BRIEF,
)
app.register_install_completion_command(
    help="Install completion for this shell: bash, zsh, fish or PowerShell.", group=_AROUND
)


_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)})


def invoke(arguments: Sequence[str]) -> int:
    """Run one command; give what the process is to exit with. Whatever goes wrong stands on standard error."""
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(["hush", *(error.command_chain or ())])
        said = str(error)
        if isinstance(error, UnusedCliTokensError):  # its own text is a list of Python's
            said = f"{command} does not take {' '.join(error.unused_tokens or ())}"
        say(f"hush: {safe(said, lines=True)}\nhush: `{safe(command)} --help` says what there is")
        return Code.USAGE
    except Stop as stop:
        if str(stop):
            say(str(stop))
        return stop.code
    except BrokenPipeError:
        _point_nowhere()
        return Code.BROKEN_PIPE
    except OSError as error:
        if error.filename is not None and "--install-completion" in arguments[:1]:
            say(safe(f"hush: the completion cannot be installed: {error.filename}: {error.strerror}"))
            return Code.USAGE
        if error.errno not in _CANNOT_WRITE:
            raise
        _point_nowhere()
        say(f"hush: the results cannot be written to standard output: {error.strerror}")
        return Code.FAILED
    except KeyboardInterrupt:
        return Code.INTERRUPTED
    except SystemExit as ended:  # of the libraries that read the arguments and print the help
        if isinstance(ended.__context__, BrokenPipeError):
            return Code.BROKEN_PIPE
        return ended.code if isinstance(ended.code, int) else Code.OK if ended.code is None else Code.USAGE
    return code if isinstance(code, int) else Code.OK


def _point_nowhere() -> None:
    """Standard output leads nowhere from now on: Python flushes it at its end, and would complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # it is no file, or closed
