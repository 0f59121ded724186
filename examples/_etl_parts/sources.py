"""Extract: a SQLite database, an HTTP API and a folder of sources, each read by one plain blocking function."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

HTTP_TIMEOUT_S = 10.0
SKIPPED_FOLDERS = {"site-packages", "dist-packages", "__pycache__"}

# The source database, as it is made on the first run: areas with (team, minutes a line, minutes a branch), modules.
AREAS: dict[str, tuple[str, float, float, str]] = {
    "general": ("Core", 0.10, 0.5, ""),
    "language": ("Core", 0.14, 1.0, """
        abc ast codeop compileall contextlib dis imp importlib inspect keyword linecache modulefinder opcode pkgutil
        py_compile re runpy site sre_compile sre_constants sre_parse symtable token tokenize traceback types typing
        warnings weakref zipapp zipimport _collections_abc _py_abc _pyio _weakrefset"""),
    "data": ("Data", 0.10, 0.6, """
        array bisect calendar collections colorsys configparser copy copyreg csv dataclasses datetime dbm decimal enum
        fractions functools graphlib heapq json netrc numbers operator pickle pickletools plistlib pprint random reprlib
        sched shelve sqlite3 statistics struct tomllib uuid xml zoneinfo _pydatetime _pydecimal _strptime"""),
    "text": ("Data", 0.08, 0.4, """
        codecs difflib encodings gettext html locale quopri shlex string stringprep textwrap unicodedata
        _markupbase"""),
    "network": ("Network", 0.16, 0.9, """
        cgi cgitb email ftplib http imaplib ipaddress mailbox mailcap mimetypes nntplib poplib smtpd smtplib socket
        socketserver telnetlib urllib webbrowser wsgiref xdrlib xmlrpc"""),
    "security": ("Security", 0.30, 1.5, "base64 crypt getpass hashlib hmac secrets ssl"),
    "concurrency": ("Runtime", 0.22, 1.2, """
        asynchat asyncio asyncore concurrent contextvars multiprocessing queue selectors signal subprocess threading
        _threading_local"""),
    "system": ("Runtime", 0.14, 0.7, """
        argparse bz2 ctypes filecmp fileinput fnmatch genericpath getopt glob gzip io logging lzma ntpath nturl2path
        optparse os pathlib pipes platform posixpath pty shutil stat sysconfig tarfile tempfile tty zipfile
        _compression"""),
    "tools": ("Tools", 0.06, 0.3, """
        bdb cmd code cProfile distutils doctest ensurepip lib2to3 pdb profile pstats pyclbr pydoc pydoc_data rlcompleter
        tabnanny timeit trace tracemalloc unittest venv"""),
    "desktop": ("Tools", 0.05, 0.3, "curses idlelib tkinter turtle turtledemo aifc chunk imghdr sndhdr sunau wave"),
    "tests": ("Quality", 0.03, 0.2, "test"),
}  # fmt: skip


class BrokenSource(Exception):
    """A source that cannot be read: which one, where it is, and why."""

    def __init__(self, source: str, place: object, why: object) -> None:
        reason = f"{type(why).__name__}: {why}" if isinstance(why, BaseException) else str(why)
        super().__init__(f"the {source} at {place} cannot be read: {reason}")


class Area(NamedTuple):
    """What the database knows of a module: whose it is, and what reviewing it takes."""

    name: str
    team: str
    minutes_per_line: float
    minutes_per_branch: float


class ModuleStatus(NamedTuple):
    """What the API knows of a module: its status, and how much of a review that calls for."""

    status: str
    factor: float


class SourceFile(NamedTuple):
    """A file as it lies on the disk."""

    name: str
    module: str
    source: bytes


def fetch_from_db(database: Path) -> dict[str, dict[str, Area]]:
    """Areas by module; ``""`` is the area of every module that the database does not list."""
    query = "SELECT module, area, team, minutes_per_line, minutes_per_branch FROM modules JOIN areas USING (area)"
    try:
        # A database that is not there is an error, not a new empty one; a connection lives and dies in one function.
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
            areas = {module: Area(*rest) for module, *rest in db.execute(query)}
    except (sqlite3.Error, OSError) as why:
        raise BrokenSource("database", database, why) from why
    if "" not in areas:
        raise BrokenSource("database", database, "it does not say whose the unlisted modules are")
    return {"areas": areas}


def fetch_from_api(api: str) -> dict[str, dict[str, ModuleStatus]]:
    """Every module's status, fetched page by page, with the factor that each status stands for."""
    try:
        factors = _get(f"{api}/v1/factors")
        statuses: dict[str, ModuleStatus] = {}
        page, pages = 1, 1
        while page <= pages:
            answer = _get(f"{api}/v1/modules?page={page}")
            pages = int(answer["pages"])
            statuses |= {
                name: ModuleStatus(status, float(factors[status])) for name, status in answer["modules"].items()
            }
            page += 1
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError) as why:
        raise BrokenSource("API", getattr(why, "url", api), why) from why  # an HTTPError knows its page
    return {"statuses": statuses}


def read_from_files(folder: Path, limit: int | None) -> dict[str, list[SourceFile]]:
    """Every ``.py`` below ``folder``, in the order of their names, without what was installed into it."""
    try:
        names = sorted(_python_files(folder))[:limit]
        files = [SourceFile(name, _module(name), (folder / name).read_bytes()) for name in names]
    except OSError as why:
        raise BrokenSource("folder of sources", folder, why) from why
    if not files:
        raise BrokenSource("folder of sources", folder, "there is no .py in it")
    return {"files": files}


def make_database(database: Path) -> None:
    """Create the source database if it is not there yet: whole, or not at all."""
    if database.exists():
        return
    unfinished = database.with_name(f"{database.name}.{os.getpid()}.new")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as db, db:
        db.execute(
            "CREATE TABLE areas (area TEXT PRIMARY KEY, team TEXT, minutes_per_line REAL, minutes_per_branch REAL)"
        )
        db.execute("CREATE TABLE modules (module TEXT PRIMARY KEY, area TEXT REFERENCES areas)")
        for area, (team, per_line, per_branch, modules) in AREAS.items():
            db.execute("INSERT INTO areas VALUES (?, ?, ?, ?)", (area, team, per_line, per_branch))
            db.executemany("INSERT INTO modules VALUES (?, ?)", [(module, area) for module in modules.split() or [""]])
    unfinished.replace(database)


def _get(url: str) -> Any:
    # Without the empty ProxyHandler, a proxy set for the machine would be asked for its loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=HTTP_TIMEOUT_S) as answer:
        return json.load(answer)


def _python_files(folder: Path) -> list[str]:
    def complain(error: OSError) -> None:
        raise error

    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=complain):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        paths = [Path(parent, name) for name in names if name.endswith(".py")]
        found += [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
    return found


def _module(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py")
