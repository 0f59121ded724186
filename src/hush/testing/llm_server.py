"""A scripted language model as an HTTP server: ``python -m hush.testing.llm_server script.yaml``.

It speaks the APIs of OpenAI, Azure and Anthropic (docs/testing.md says how a script is written), prints its URL on one
line, and ends on SIGINT and SIGTERM. It is served by a small server of its own, `hush.testing._scripted._http_server`,
and not by starlette and uvicorn, because the faults need control of each byte and of how a connection ends.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hush.testing._scripted._scripted import ScriptedLLM


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the script that the arguments name until a signal comes; 2 if it cannot be read."""
    import argparse
    import asyncio

    from hush.testing._scripted._errors import ScriptError
    from hush.testing._scripted._scripted import ScriptedLLM

    parser = argparse.ArgumentParser(
        prog="python -m hush.testing.llm_server", description="Serve a scripted language model over HTTP."
    )
    parser.add_argument("script", nargs="?", help="the script, a file of YAML; without one, every answer is an echo")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free (default: 0)")
    given = parser.parse_args(arguments)
    try:
        scripted = ScriptedLLM() if given.script is None else ScriptedLLM.from_yaml(given.script)
        asyncio.run(_serve(scripted, given.host, given.port))
    except (ScriptError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        pass  # where signals cannot be handled on the loop
    return 0


async def _serve(scripted: ScriptedLLM, host: str, port: int) -> None:
    import asyncio
    import signal

    from hush.testing._scripted._serving import llm_server

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(each, told.set)
        except NotImplementedError:  # on Windows
            pass
    async with llm_server(scripted, host=host, port=port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await told.wait()


class _Called(ModuleType):
    # Whoever imports this module has its name `hush.testing.llm_server` mean the module: it can be called all the same.
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from hush.testing._scripted._serving import llm_server

        return llm_server(*args, **kwargs)


if __name__ == "__main__":
    sys.exit(main())
else:
    sys.modules[__name__].__class__ = _Called
