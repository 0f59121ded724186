"""``hush resources``: what a file of resources has, and whether it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, validators

from hush.cli._exit import Code, usage
from hush.cli._options import Json, Resources
from hush.cli._places import shown_path
from hush.cli._problems import as_data, line_of
from hush.cli._results import results_only
from hush.cli._safe import safe
from hush.core import ResourceError, ResourceHub
from hush.core.extend import without_secrets


def check(
    *,
    resources: Resources = None,
    timeout: Annotated[
        float, Parameter(metavar="S", validator=validators.Number(gt=0), help="Seconds each may take.")
    ] = 5.0,
    json: Json = False,
) -> int:
    """Try every resource: each is opened, asked for as little as possible, and closed.

    It shows whether addresses, certificates, keys and models are right, and costs nothing or next to nothing.
    """
    with results_only() as results:
        hub = _hub(resources)
        found = hub.check(timeout_s=timeout)
        if json:
            wrong = {key: [as_data(one) for one in problems] for key, problems in found.fails.items()}
            results.json({"works": {key: without_secrets(said) for key, said in found.works.items()}, "fails": wrong})
        else:
            for key, said in found.works.items():
                results.text(f"{safe(key)}: works ({safe(without_secrets(said))})")
            for problem in found:
                results.text(line_of(problem))
            results.text(f"{len(found.works)} of {len(hub)} work")
    return Code.FAILED if found else Code.OK


def list_(
    *,
    resources: Resources = None,
    json: Json = False,
    limit: Annotated[
        int | None, Parameter(metavar="N", validator=validators.Number(gte=0), help="Print at most so many.")
    ] = None,
) -> int:
    """List the resources by their keys, with their types and where each is written."""
    with results_only() as results:
        hub = _hub(resources)
        rows = [_row(hub, key) for key in hub.keys()[:limit]]
        if json:
            results.json(rows)
            return Code.OK
        width = max((len(safe(row["key"])) for row in rows), default=0)
        for row in rows:
            place = f"{shown_path(row['file'])}:{row['line']}"
            results.text(f"{safe(row['key']):{width}}  {safe(row['type'] or '-'):10}  {safe(place)}")
    return Code.OK


def _hub(path: Path | None) -> ResourceHub:
    try:
        hub = ResourceHub(path=path) if path is not None else ResourceHub.default()
    except ResourceError as error:
        raise usage(without_secrets(str(error))) from error
    if path is None and not len(hub):
        looked = ", ".join(hub._looked) or "what was found is empty"
        raise usage(f"there are no resources; looked for: {looked}. Name a file with --resources")
    return hub


def _row(hub: ResourceHub, key: str) -> dict[str, Any]:
    written = hub._entries[key]
    settings = written.value
    kind = settings["type"].value if isinstance(settings, dict) and "type" in settings else None
    kind = without_secrets(kind) if isinstance(kind, str) else None
    return {"key": key, "type": kind, "file": written.key.file, "line": written.key.line}
