"""Sending spans over OTLP: against a real receiver that takes, refuses, hangs and breaks off."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import replace
from email.utils import formatdate

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hush.core.extend import without_secrets
from hush.observability._exporter import ExportError
from hush.observability._otel._conventions import conventional
from hush.observability._otel._endpoint import Endpoint
from hush.observability._otel._exporter import GivenExporter, OTLPExporter, resource_of
from hush.observability._span import Batch, Failure, Wait
from kit.otlp_receiver import RESET, SILENT, Answer
from kit.span_records import ALL, LLM, RUN, START, batch, span

SECRET = "Bearer planted-5up3r-s3cret"


@pytest.fixture
def exporter(receiver):
    made = OTLPExporter(Endpoint(receiver.url, (("authorization", SECRET),), 5.0), conventional, resource_of("shop"))
    yield made
    made.close()


def refused(exporter, given=None):
    with pytest.raises(ExportError) as caught:
        exporter.export(given or batch())
    assert "planted" not in str(caught.value)
    return caught.value


def test_every_span_arrives_once_with_its_own_ids_and_times(receiver, exporter):
    exporter.export(batch())
    assert len(receiver.spans) == len(ALL)
    for sent, got in zip(ALL, receiver.spans, strict=True):
        assert (got.trace, got.id, got.parent) == (sent.trace, sent.id, sent.parent)
        assert (got.started_ns, got.ended_ns) == (sent.started_ns, sent.ended_ns)
    (asked,) = receiver.asked
    assert asked.headers["authorization"] == SECRET
    assert asked.headers["content-type"] == "application/x-protobuf"
    assert receiver.tree() == {
        "shop": {"each": {"each[7]": {"chat gpt-4o-mini": {}}}, "embeddings text-embedding-3-small": {}}
        | {"buy": {}, "pay": {}, "gift": {}}
    }


@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize("kind", [OTLPExporter, GivenExporter])
def test_others_have_the_interpreter_between_spans_unless_somebody_waits_for_them(receiver, kind, urgent):
    rests = []
    to = InMemorySpanExporter() if kind is GivenExporter else Endpoint(receiver.url, timeout_s=5.0)
    exporter = kind(to, conventional, resource_of("shop"), lambda: rests.append(len(rests)))
    many = [span(number) for number in range(1, 41)]
    exporter.export(batch(*many)._replace(urgent=urgent))
    exporter.close()
    assert len(rests) == (0 if urgent else 5)


def test_many_batches_share_one_connection(receiver, exporter):
    for _ in range(20):
        exporter.export(batch())
    assert receiver.connected == 1
    assert len(receiver.spans) == 20 * len(ALL)


def test_a_kept_connection_that_the_server_has_closed_is_made_anew(receiver, exporter):
    exporter.export(batch(RUN))
    receiver.plan.append(Answer(sent=RESET))
    exporter.export(batch(LLM))
    assert [got.id for got in receiver.spans] == [RUN.id, LLM.id]
    assert receiver.connected == 2


def test_a_first_connection_that_is_closed_is_an_error_to_try_again(receiver, exporter):
    receiver.plan.append(Answer(sent=RESET))
    assert refused(exporter).again
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_what_is_compressed_arrives_whole(receiver, compression):
    exporter = OTLPExporter(Endpoint(receiver.url, compression=compression), conventional, resource_of("shop"))
    exporter.export(batch(*(span(number) for number in range(1, 200))))
    exporter.close()
    assert len(receiver.spans) == 199


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(receiver, exporter, status):
    receiver.plan.append(Answer(status, {"retry-after": "7"}))
    error = refused(exporter)
    assert error.again
    assert error.retry_after_s == 7.0
    assert error.taken == 0
    exporter.export(batch())
    assert len(receiver.spans) == len(ALL)


def test_a_date_in_retry_after_is_read(receiver, exporter):
    receiver.plan.append(Answer(503, {"retry-after": formatdate(time.time() + 200, usegmt=True)}))
    assert 0 < refused(exporter).retry_after_s <= 200


@pytest.mark.parametrize("value", ["301", "86400", "1e300", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_a_server_that_asks_for_a_day_is_asked_again_in_five_minutes(receiver, exporter, value):
    receiver.plan.append(Answer(429, {"retry-after": value}))
    assert refused(exporter).retry_after_s == 300.0


@pytest.mark.parametrize("value", ["0", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_time_that_has_passed_is_now(receiver, exporter, value):
    receiver.plan.append(Answer(429, {"retry-after": value}))
    assert refused(exporter).retry_after_s == 0.0


@pytest.mark.parametrize("value", ["soon", "nan", "inf", ""])
def test_a_retry_after_that_says_nothing_is_none(receiver, exporter, value):
    receiver.plan.append(Answer(503, {"retry-after": value}))
    assert refused(exporter).retry_after_s is None


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 500])
def test_a_refusal_for_good_is_not_asked_again_and_says_what_the_server_said(receiver, exporter, status):
    receiver.plan.append(Answer(status, body=f"no such key: {SECRET}".encode(), kind="text/plain"))
    error = refused(exporter)
    assert not error.again
    assert f"answered {status}" in str(error)
    assert "no such key" in str(error)
    assert len(receiver.asked) == 1


def test_a_refusal_in_protobuf_is_read(receiver, exporter):
    from google.rpc.status_pb2 import Status

    receiver.plan.append(Answer(400, body=Status(message="bad span").SerializeToString()))
    assert "bad span" in str(refused(exporter))


def test_partial_success_is_counted(receiver, exporter):
    receiver.plan.append(Answer(rejected=2, message="too old"))
    error = refused(exporter)
    assert not error.again
    assert error.taken == len(ALL) - 2 == len(receiver.spans)
    assert "too old" in str(error)


def test_partial_success_in_json_is_counted(receiver, exporter):
    said = b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}'
    receiver.plan.append(Answer(body=said, kind="application/json"))
    assert refused(exporter).taken == len(ALL) - 3


@pytest.mark.parametrize(("said", "taken"), [(99_999, 0), (-5, len(ALL))])
def test_no_more_are_rejected_than_were_sent_and_no_fewer_than_none(receiver, exporter, said, taken):
    body = b'{"partialSuccess": {"rejectedSpans": "%d", "errorMessage": "too old"}}' % said
    receiver.plan.append(Answer(body=body, kind="application/json"))
    if taken:
        exporter.export(batch())
    else:
        assert refused(exporter).taken == 0


UNREADABLE = {"content-encoding": "gzip"}


def test_what_was_taken_is_not_sent_again_though_the_answer_cannot_be_read(receiver, exporter):
    """As of a proxy that marks answers as compressed which are not: the server would have all spans twice."""
    receiver.plan.append(Answer(headers=UNREADABLE, body=b"no gzip"))
    exporter.export(batch())
    exporter.export(batch(RUN))
    assert len(receiver.spans) == len(ALL) + 1


@pytest.mark.parametrize(("status", "again"), [(400, False), (503, True)])
def test_a_refusal_that_cannot_be_read_is_that_refusal(receiver, exporter, status, again):
    receiver.plan.append(Answer(status, headers=UNREADABLE, body=b"no gzip"))
    error = refused(exporter)
    assert (error.again, error.answered) == (again, True)
    assert f"answered {status}" in str(error)


@pytest.mark.parametrize("said", [b"{}", b"no json", b"[]", b""])
def test_an_answer_in_json_that_says_nothing_is_no_error(receiver, exporter, said):
    receiver.plan.append(Answer(body=said, kind="application/json"))
    exporter.export(batch())
    assert len(receiver.spans) == len(ALL)


def test_a_warning_of_the_server_is_logged(receiver, exporter, caplog):
    receiver.plan.append(Answer(message="use port 4319"))
    with caplog.at_level(logging.WARNING, "hush.observability"):
        exporter.export(batch())
    assert "use port 4319" in caplog.text


def test_a_server_that_never_answers_is_left_in_time(receiver, exporter):
    exporter = OTLPExporter(Endpoint(receiver.url, timeout_s=0.05), conventional, resource_of(None))
    receiver.plan.append(Answer(sent=SILENT))
    error = refused(exporter)
    assert (error.again, error.answered) == (True, False)
    assert "gave no answer within 0.05 s" in str(error)
    exporter.export(batch(RUN))  # and what comes later is taken
    exporter.close()
    assert len(receiver.spans) == 1


def test_nobody_there_is_an_error_to_try_again():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen, and nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/traces?key=planted"
        exporter = OTLPExporter(Endpoint(url, timeout_s=5.0), conventional, resource_of(None))
        error = refused(exporter)
        exporter.close()
    assert (error.again, error.answered) == (True, False)
    assert "Connection refused" in str(error)


def test_what_is_too_large_is_sent_in_parts(receiver, exporter):
    receiver.plan.extend([Answer(413), Answer(413)])
    exporter.export(batch())
    assert [got.id for got in receiver.spans] == [sent.id for sent in ALL]
    assert [len(asked.spans) for asked in receiver.asked] == [8, 4, 2, 2, 4]


def test_a_span_that_is_too_large_by_itself_is_lost_alone(receiver, exporter):
    huge = span(9, name="huge", inputs={"text": "x" * 5_000_000})
    receiver.plan.append(Answer(413))  # the first that is sent: spans of more than 4 MB go alone
    error = refused(exporter, batch(huge, RUN))
    assert (error.again, error.taken) == (False, 1)
    assert "huge" in str(error)
    assert [got.id for got in receiver.spans] == [RUN.id]


def test_of_a_batch_in_parts_it_is_said_what_was_taken(receiver, exporter):
    receiver.plan.extend([Answer(413), Answer(), Answer(503)])
    error = refused(exporter)
    assert (error.again, error.done, error.taken) == (True, 4, 4)
    assert [got.id for got in receiver.spans] == [sent.id for sent in ALL[:4]]


@pytest.mark.parametrize("last", [503, 400])
def test_of_a_batch_in_parts_what_was_lost_is_counted(receiver, exporter, last):
    odd = RUN._replace(id="not hexadecimal", name="odd")
    receiver.plan.extend([Answer(413), Answer(rejected=1), Answer(last)])
    error = refused(exporter, batch(*ALL[:3], odd, *ALL[4:7], odd))
    assert (error.again, error.done, error.taken) == (last == 503, 4, 2)  # of the rest nobody knows yet
    assert error.answered


def test_a_batch_that_was_refused_does_not_count_for_the_next(receiver, exporter):
    receiver.plan.extend([Answer(413), Answer(rejected=1), Answer(503)])
    assert refused(exporter).again
    receiver.plan.append(Answer(400))
    assert refused(exporter, batch(span(9))).taken == 0
    exporter.export(batch())


def test_one_span_that_cannot_be_sent_does_not_cost_the_others(receiver, exporter):
    odd = RUN._replace(id="not hexadecimal", name="odd")
    late = span(9, ended_ns=-1, name="late")
    error = refused(exporter, batch(LLM, odd, late, RUN))
    assert (error.again, error.taken) == (False, 2)
    assert [got.id for got in receiver.spans] == [LLM.id, RUN.id]


def test_text_that_no_wire_holds_is_sent_nevertheless(receiver, exporter):
    broken = "\ud800 half"
    values = {broken: broken, "n": 2**70}
    failure = Failure(broken, broken, notes=(broken,))
    texts = {"name": broken, "path": broken, "key": broken, "tags": (broken,), "inputs": values, "failure": failure}
    exporter.export(batch(span(9, status="failed", waits=(Wait((broken,), START, START, START),), **texts)))
    (got,) = receiver.spans
    assert got.name == "? half"
    assert got.attributes["input.value"] == '{"? half": "? half", "n": 1180591620717411303424}'


def test_an_empty_batch_asks_for_nothing(receiver, exporter):
    exporter.export(Batch(runs=batch().runs))
    assert not receiver.asked
    exporter.export(Batch(ended=(LLM,)))  # what was told before is known
    assert receiver.spans[0].attributes["user.id"] == "ann"


def test_credentials_in_an_address_are_sent_as_a_header_and_shown_nowhere(receiver, monkeypatch, tmp_path):
    from hush.observability._otel._endpoint import endpoint_of

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password planted-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    to = endpoint_of("OTelTracer", receiver.url.replace("://", "://ann:planted-pw@"), None, None)
    exporter = OTLPExporter(to, conventional, resource_of(None))
    receiver.plan.append(Answer(401))
    assert "401" in str(refused(exporter))
    exporter.close()
    assert receiver.asked[0].headers["authorization"] == "Basic YW5uOnBsYW50ZWQtcHc="
    assert "planted" not in repr(to)
    assert "YW5uOnBsYW50ZWQtcHc" not in without_secrets("a page that says YW5uOnBsYW50ZWQtcHc=")
    assert replace(to, timeout_s=1.0) != to


def test_an_exporter_of_the_sdk_gets_spans_of_the_sdk():
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    theirs = InMemorySpanExporter()
    exporter = GivenExporter(theirs, conventional, resource_of("shop"))
    exporter.export(batch())
    got = theirs.get_finished_spans()
    assert [format(one.context.span_id, "016x") for one in got] == [sent.id for sent in ALL]
    assert got[0].resource.attributes["service.name"] == "shop"
    exporter.close()
    error = refused(exporter)  # it was shut down
    assert (error.again, error.taken) == (False, 0)


def test_a_web_page_is_no_answer_of_a_collector(receiver, exporter):
    """A proxy's page to log in, or the address of a dashboard: it says 200, and the spans are nowhere."""
    receiver.plan.append(Answer(200, body=b"<html>log in</html>", kind="text/html; charset=utf-8"))
    error = refused(exporter)
    assert not error.again
    assert "web page" in str(error)
