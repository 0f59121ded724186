"""``logger``: the loggers of Hush, whose records say what they are about and hold no secret."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hush.core.protocols import without_secrets

FIELDS = ("run", "node", "item")
"""What each record has: the run's id, the node's path, the index in the innermost map; ``None`` where there is none."""


class _Fit(logging.Filter):
    """Makes a record fit for any handler: it has all fields, and no secret in them, its text, or its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name in FIELDS:
            value = getattr(record, name, None)
            setattr(record, name, without_secrets(value) if isinstance(value, str) else value)
        try:
            text = record.getMessage()
        except Exception as exc:  # handlers would meet it too, and print what it says
            record.msg, record.args = f"<a message that cannot be written: {type(exc).__name__}>", ()
        else:
            cleaned = without_secrets(text)
            if cleaned != text:
                record.msg, record.args = cleaned, ()
        if record.exc_info:
            try:
                trace = logging.Formatter().formatException(record.exc_info)
            except Exception as exc:
                trace = f"<a traceback that cannot be written: {type(exc).__name__}>"
                record.exc_info = None
            record.exc_text = without_secrets(trace)
            if record.exc_text != trace:
                record.exc_info = None  # whoever formats it anew would find the secret
        return True


_fit = _Fit()


def logger(name: str) -> logging.Logger:
    """The logger called ``name``, which begins with ``hush.``.

    A handler that raises is told of on standard error, as logging does: it ends no run, and no thread of Hush. Nor does
    a factory of records that raises, or has given records a field of the same name: what is logged of it goes before.
    """
    found = logging.getLogger(name)
    if _fit not in found.filters:
        found.addFilter(_fit)
        found.__dict__["makeRecord"] = partial(_made, found.makeRecord)
        found.__dict__["handle"] = partial(_handled, found.handle)
    return found


def _made(
    make: Callable[..., logging.LogRecord],
    name: str,
    level: int,
    file: str,
    line: int,
    message: object,
    arguments: Any,
    error: Any,
    function: str | None = None,
    extra: Mapping[str, object] | None = None,
    stack: str | None = None,
) -> logging.LogRecord:
    """In place of ``Logger.makeRecord``, which raises where a factory of records has set a field of ``extra``."""
    about = name, level, file, line, message, arguments, error, function
    record = None
    for fields in (extra, None):
        try:
            record = make(*about, fields, stack)
            break
        except Exception:  # the factory is the user's
            continue
    if record is None:
        record = logging.LogRecord(*about, stack)
    record.__dict__.update(extra or {})
    return record


def _handled(handle: Callable[[logging.LogRecord], None], record: logging.LogRecord) -> None:
    try:
        handle(record)
    except Exception:  # what handlers raise is theirs
        logging.Handler().handleError(record)
