"""How a drawing puts into words what a step was given: its policies, its sources, its conditions."""

from __future__ import annotations

from typing import Any

from hush.core._expr._model import Apply, Const, Expr, Read, describe, in_postorder, reads
from hush.core._spec._model import BranchSpec, CallSpec, LoopSpec, MapSpec, Step
from hush.core._spec._policies import LIMIT_PREFIX, Limit

_LONGEST = 60
_PLAIN = (int, float, complex, bool, str, bytes, type(None))


def notes_of(step: Step) -> tuple[str, ...]:
    """How ``step`` runs, in a few words each."""
    found: list[str] = []
    if isinstance(step, MapSpec):
        found += _of_map(step)
    elif isinstance(step, LoopSpec):
        found += _of_loop(step)
    elif isinstance(step, CallSpec) and step.executor != "auto":
        found.append({"thread": "in a thread", "process": "in a process"}.get(step.executor, step.executor))
    if isinstance(step, CallSpec):
        found += [_of_limit(limit) for limit in step.policies.limits]
        if step.policies.priority:
            found.append(f"priority {step.policies.priority}")
        if step.policies.retry is not None and step.policies.retry.max_attempts > 1:
            found.append(f"up to {step.policies.retry.max_attempts} attempts")
        if step.policies.cache is not None:
            found.append(f"cached in {one_line(_file_name(step.policies.cache))}")
    if step.timeout_s is not None:
        found.append(f"timeout {step.timeout_s:g} s")
    if step.on_error == "collect" and not isinstance(step, MapSpec):
        found.append("goes on if it fails")
    return tuple(found)


def _of_map(step: MapSpec) -> list[str]:
    found = ["one at a time" if step.max_concurrency == 1 else f"{step.max_concurrency} at a time"]
    if step.executor == "process":
        found.append("in processes")
    if step.batch is not None:
        or_after = "" if step.batch_wait_s is None else f", or of what {step.batch_wait_s:g} s bring"
        found.append(f"lists of {step.batch}{or_after}")
    if step.window is not None:
        found.append(f"window {step.window}")
    if not step.ordered:
        found.append("in any order")
    if step.first is not None:
        found.append(f"only the first {step.first}")
    if step.tolerate is not None:
        bounds: list[str] = []
        if step.tolerate.count is not None:
            bounds.append(f"{step.tolerate.count}")
        if step.tolerate.fraction is not None:
            bounds.append(f"{step.tolerate.fraction * 100:g} %")
        found.append(f"tolerates {' and '.join(bounds)} failed")
    else:
        found.append("stops at a failure" if step.on_error == "raise" else "collects")
    if step.item_timeout_s is not None:
        found.append(f"{step.item_timeout_s:g} s an item")
    return found


def _of_limit(limit: Limit | str) -> str:
    """Such as ``limit crm``, or ``limit 10 at once, 5 a second``."""
    if isinstance(limit, str):
        return f"limit {one_line(limit.removeprefix(LIMIT_PREFIX))}"
    if limit.name is not None:
        return f"limit {one_line(limit.name)}"
    said: list[str] = []
    if limit.concurrency is not None:
        said.append("as many at once as go well" if limit.concurrency == "auto" else f"{limit.concurrency} at once")
    for rate, unit in (
        (limit.per_second, "a second"),
        (limit.per_minute, "a minute"),
        (limit.tokens_per_minute, "tokens a minute"),
        (limit.input_tokens_per_minute, "input tokens a minute"),
        (limit.output_tokens_per_minute, "output tokens a minute"),
    ):
        if rate is not None:
            said.append(f"{rate:.10g} {unit}")
    if limit.burst is not None:
        said.append(f"bursts of {limit.burst}")
    return f"limit {', '.join(said)}"


def _of_loop(step: LoopSpec) -> list[str]:
    if step.stop is None:
        return [f"{step.max_iterations} rounds"]
    limit = f"at most {step.max_iterations} rounds"
    return [f"until {step.stop_text}", limit if step.on_limit == "raise" else f"{limit}, then goes on"]


def _file_name(path: str) -> str:
    """The last part of a path, whichever way its slashes go; ``memory`` stays that."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path


def each_lines(step: MapSpec) -> tuple[str, ...]:
    """What a map goes through, a line for each ``Each``."""
    return tuple([f"each {each.name} ← {source_text(each.source)}" for each in step.each])


def case_lines(step: BranchSpec) -> tuple[str, ...]:
    """A line for each case of a branch, in the order in which they are tried."""
    found = [f"if {one_line(case.text)} → {'END' if case.target is None else case.target}" for case in step.cases]
    if step.has_default:
        found.append(f"else → {'END' if step.default is None else step.default}")
    else:
        found.append("else NoCaseMatched")
    return tuple(found)


def source_text(expr: Expr) -> str:
    """``expr`` as it was written, where that is short and calls no ``repr`` of a user's object; else what it is."""
    if isinstance(expr, Const):
        return _literal(expr.value)
    if isinstance(expr, Read):
        return f"{expr.source.name}[{_key(expr.key)}]"
    if all(_is_plain(part) for part in in_postorder(expr)):
        text = one_line(describe(expr)).replace("'", '"')
        if len(text) <= _LONGEST:
            return text
    names = dict.fromkeys(f"{read.source.name}[{_key(read.key)}]" for read in reads(expr))
    return f"made from {', '.join(names)}"


def one_line(text: str) -> str:
    """``text`` as one line: line breaks, runs of blanks and what no page or terminal should get as one blank."""
    if not text.isprintable():
        text = "".join([char if char.isprintable() else " " for char in text])
    return " ".join(text.split())


def _key(key: Any) -> str:
    return f'"{key}"' if type(key) is str else repr(key) if isinstance(key, _PLAIN) else type(key).__name__


def _is_plain(part: Expr) -> bool:
    if isinstance(part, Const):
        return type(part.value) in _PLAIN
    # A function or a keyword argument is told by its value, which may be any object.
    return not isinstance(part, Apply) or (part.form != "call" and not part.kwargs)


def _literal(value: Any) -> str:
    """A literal by its kind: a large list would be long, and an object's ``repr`` may change from run to run."""
    kind = type(value)
    if kind is range:
        return repr(value)
    if kind in (list, tuple, dict, set, frozenset):
        return f"a {kind.__name__} of {len(value)}"
    if kind in _PLAIN:
        text = repr(value)
        return text if len(text) <= _LONGEST else f"a {kind.__name__}"
    return f"a {kind.__name__}"
