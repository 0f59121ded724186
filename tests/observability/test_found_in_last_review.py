"""What the last reading of tracing found: values and errors of whoever means no harm, or does."""

from __future__ import annotations

import asyncio
import enum

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode, code_node
from hush.core.events import NodeCalled, NodeStarted
from hush.observability._bounds import PREVIEW
from hush.observability._failure import failure_of
from hush.observability._preview import SECRET, clean, preview, said, shown
from hush.observability._source import SourceLines
from hush.observability._spans import spans_of
from hush.observability._tracer import SpanTracer


class Kept:
    """Keeps all events."""

    sees_calls = True

    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


class Never:
    live = False
    most = 10

    def export(self, batch, /):
        raise AssertionError(batch)

    def close(self):
        pass


class NoBool(Exception):
    def __bool__(self):
        raise RuntimeError("nobody asks")


class Empty(Exception):
    """As errors that are collections of errors are."""

    def __len__(self):
        return 0


@pytest.mark.parametrize("kind", [NoBool, Empty])
def test_an_error_that_is_not_true_is_a_cause_like_any(kind):
    for raised in (ValueError("top"), ValueError("top")):
        raised.__cause__ = kind("below")
        assert [one.message for one in failure_of(raised).causes] == ["below"]
    raised = ValueError("top")
    raised.__context__ = kind("met")
    assert [one.message for one in failure_of(raised).causes] == ["met"]
    raised.__suppress_context__ = True
    assert failure_of(raised).causes == ()


async def test_a_run_with_such_a_cause_has_its_trace():
    @code_node
    def fails(x):
        raise ValueError("top") from NoBool("below")

    with GraphNode(name="g") as graph:
        fails(inputs={"*": PARENT})
    kept = Kept()
    with pytest.raises(ValueError, match="top"):
        await Hush(graph).run({"x": 1}, tracer=kept)
    assert [span.status for span in spans_of(kept.events)] == ["failed", "failed"]


def test_whatever_a_text_raises_stays_in_it():
    class Stops(BaseException):
        pass

    class Refuses(Exception):
        def __init__(self, raises):
            self.raises = raises

        def __str__(self):
            raise self.raises

    assert said(Refuses(Stops)) == "<its text cannot be read: Stops>"
    with pytest.raises(KeyboardInterrupt):
        said(Refuses(KeyboardInterrupt))


def test_ids_of_a_class_of_their_own_run_none_of_its_code():
    class Id(str):
        __slots__ = ()

        def __len__(self):
            raise AssertionError("nobody asks")

        isascii = encode = __contains__ = __getitem__ = __len__

    assert clean(Id("an id"), 100) == "an id"
    assert type(clean(Id("an id"), 100)) is str


def test_names_of_classes_can_be_written_anywhere():
    class Odd(Exception):
        pass

    Odd.__qualname__, Odd.__module__ = "Odd\ud800\0", "m\ud801"
    assert failure_of(Odd("x")).type == "m?.Odd?\N{REPLACEMENT CHARACTER}"
    assert shown(Odd) == "<type>"
    odder = type("Odder", (), {"__qualname__": "\ud800", "__module__": "\ud801"})
    assert shown(odder()) == "<?.?>"


def test_names_of_files_are_bounded():
    def fails():
        raise ValueError

    for name in ("x" * 100_000, "a\0b", "\ud800"):
        fails.__code__ = fails.__code__.replace(co_filename=name)
        with pytest.raises(ValueError) as caught:
            fails()
        file = failure_of(caught.value).frames[-1].file
        assert len(file) < 5_000
        assert "\0" not in file
        file.encode()


def test_a_secret_that_is_a_number_is_one_at_any_depth():
    class Level(enum.IntEnum):
        HIGH = 481516

    given = {"lock": {"password": 481516, "token": 48.1516, "secret": Level.HIGH, "secrets": True, "auth": None}}
    assert preview(given, PREVIEW) == {
        "lock": {"password": SECRET, "token": SECRET, "secret": SECRET, "secrets": True, "auth": None}
    }
    assert preview({"password": 481516}, PREVIEW) == {"password": SECRET}


async def test_errors_that_a_node_reads_are_shown_as_messages_are():
    @code_node
    def sign_in(user):
        settings = {"user": user, "password": "hunter22planted"}
        raise ValueError(f"refused: {settings}")

    @code_node
    def report(errors):
        return {"number": len(errors)}

    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"user": Each(PARENT["users"])}) as mapped:
            sign_in(inputs={"*": PARENT}, outputs=PARENT)
        report(inputs={"errors": mapped["error"]}, outputs=PARENT)
    kept = Kept()
    await Hush(graph).run({"users": ["ada"]}, tracer=kept)
    spans = spans_of(kept.events)
    (read,) = [span.inputs for span in spans if span.path == "g/report"]
    assert read is not None
    assert "refused" in str(read)
    assert "planted" not in repr(spans)


def test_an_error_that_is_no_exception_is_shown_as_a_message_is():
    assert "planted" not in failure_of("bad login: {'password': 'hunter22planted'}").message


def test_of_a_run_whose_beginning_was_not_told_nothing_is_kept():
    tracer = SpanTracer(Never)
    for number in range(100):
        tracer.emit(NodeStarted(f"run {number}", "g/n", None, 1, ()))
    assert not tracer._told


@pytest.mark.parametrize("executor", ["process", "thread", "inline"])
def test_what_a_traced_node_reads_is_read_once(executor):
    read = []

    def note(value):
        read.append(value)
        return value

    with GraphNode(name="g") as graph:
        CodeNode(
            name="n",
            code_fn=lambda x: {"y": x},
            executor=executor,
            inputs={"x": PARENT["x"].apply(note)},
            outputs=PARENT,
        )
    kept = Kept()
    assert asyncio.run(Hush(graph).run({"x": 7}, tracer=kept)) == {"y": 7}
    assert read == [7]
    assert [event.inputs for event in kept.events if isinstance(event, NodeCalled)] == [{"x": 7}]


def test_a_line_without_a_number():
    def fails():
        raise ValueError

    fails.__code__ = fails.__code__.replace(co_linetable=b"")
    with pytest.raises(ValueError) as caught:
        fails()
    frame = failure_of(caught.value).frames[-1]
    assert type(frame.line) is int
    assert SourceLines(2**63).line(frame._replace(file=__file__)) is None or frame.line
