"""Where ``resources.yaml`` is looked for, and how it is read."""

from __future__ import annotations

import os
import stat
from typing import TypeAlias

from hush.core._resources._written import Place, Written, problem, resource_error

VARIABLE = "HUSH_CONFIG"
TEXT = "HUSH_RESOURCES"
"""The variable that holds settings themselves, in place of a file."""
NAME = "resources.yaml"
MOST_BYTES = 256 * 1024

Stamp: TypeAlias = "tuple[int, ...] | None"


def candidates() -> list[tuple[str, str]]:
    """The files to try, in order, each with how it is spoken of. ``HUSH_CONFIG`` leaves no choice."""
    named = os.environ.get(VARIABLE)
    if named:
        return [(absolute(named), f"{VARIABLE}={named}")]
    places = [("." + os.sep, os.path.abspath(NAME))]
    home = os.path.expanduser("~")
    if home != "~":  # it stays as it is where nobody knows the home
        places.append((os.path.join("~", ".hush", ""), os.path.join(home, ".hush", NAME)))
    return [(path, f"{shown}{NAME}") for shown, path in places]


def find() -> str | None:
    """The file that is to be read, ``None`` if there is none. One that ``HUSH_CONFIG`` names need not be there."""
    if os.environ.get(VARIABLE):
        return candidates()[0][0]
    # A link that leads nowhere, or a folder, is found too: reading it then says what is wrong.
    return next((path for path, _ in candidates() if os.path.lexists(path)), None)


def absolute(path: str | os.PathLike[str]) -> str:
    """The path as errors name it."""
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def stamp(path: str) -> Stamp:
    """What changes when the file does; ``None`` for what is no file, such as a pipe, which can be read only once."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def read(path: str, named_by: str = "") -> Written:
    """What the file holds. ``named_by`` says who named it, in errors. Raises ``ResourceError``."""
    from hush.core._resources._yaml import parse

    where = Place(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        said = error.strerror if isinstance(error, OSError) else error
        message = f"it cannot be read: {said}" + (f" ({named_by} names it)" if named_by else "")
        raise resource_error(path, [problem("the file", where, message)]) from error
    if len(data) > MOST_BYTES:
        message = f"it is larger than {MOST_BYTES // 1024} KiB, which no file of settings is"
        raise resource_error(path, [problem("the file", where, message)])
    broken = _not_utf8(data)
    if broken is not None:
        place = Place(path, data.count(b"\n", 0, broken) + 1)
        raise resource_error(path, [problem("the file", place, "it is not written in UTF-8", "Save it as UTF-8.")])
    return parse(data.decode("utf-8-sig"), path)


def text() -> str | None:
    """What the variable ``HUSH_RESOURCES`` holds; ``None`` if it is not set or empty."""
    return os.environ.get(TEXT) or None


def read_text(given: str) -> Written:
    """What ``given``, the text of the variable, holds. Raises ``ResourceError``."""
    from hush.core._resources._yaml import parse

    if len(given) > MOST_BYTES:
        message = f"it is longer than {MOST_BYTES // 1024} Ki characters, which no settings are"
        raise resource_error(TEXT, [problem("the variable", Place(TEXT), message)])
    return parse(given, TEXT)


def _not_utf8(data: bytes) -> int | None:
    """Where ``data`` is no UTF-8. The error that tells so has the data in it, and is not kept."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None
