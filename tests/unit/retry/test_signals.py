"""What the errors of real clients say, raised by a server on the loopback or made as the clients make them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import httpx
import pytest
import requests
import urllib3
from aiohttp.client_reqrep import ConnectionKey

from hush.core import NodeTimeout, UsageError
from hush.core._runtime._signals import NOTHING, Signal, signal_of

# --- a server on the loopback, and four clients ----------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    """`/503?Retry-After=7` answers with that status and header; `/cut` breaks off in the middle of the body."""

    def do_GET(self):
        path, _, query = self.path.removeprefix("/").partition("?")
        if path == "close":
            self.close_connection = True
            return
        self.send_response(200 if path == "cut" else int(path))
        if query:
            name, _, value = query.partition("=")
            self.send_header(name, value.replace("+", " "))
        self.send_header("Content-Length", "100" if path == "cut" else "2")
        self.end_headers()
        self.wfile.write(b"ok")
        self.close_connection = path == "cut"

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def nobody():
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def by_httpx(url, **options):
    with httpx.Client(trust_env=False, **options) as client:
        client.get(url).raise_for_status()


def by_requests(url, **options):
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, **options).raise_for_status()


def by_aiohttp(url, **options):
    async def get():
        async with aiohttp.ClientSession(**options) as session, session.get(url) as answer:
            answer.raise_for_status()
            await answer.read()

    asyncio.run(get())


def by_urllib(url, **options):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, **options) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise


CLIENTS = [by_httpx, by_requests, by_aiohttp, by_urllib]
by_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__.removeprefix("by_"))


def raised_by(call, *args, **options):
    with pytest.raises(Exception) as caught:  # which one is the question
        call(*args, **options)
    return caught.value


@by_client
@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 529, 599])
def test_answers_that_may_be_better_the_next_time(client, status, server):
    error = raised_by(client, f"{server}/{status}")
    assert signal_of(error) == Signal(True, status in (429, 503, 529), None)


@by_client
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_answers_that_will_be_the_same_the_next_time(client, status, server):
    assert signal_of(raised_by(client, f"{server}/{status}")) == NOTHING


@by_client
def test_when_to_come_back(client, server):
    assert signal_of(raised_by(client, f"{server}/429?Retry-After=7")) == Signal(True, True, 7.0)
    assert signal_of(raised_by(client, f"{server}/503?retry-after=0")) == Signal(True, True, 0.0)
    assert signal_of(raised_by(client, f"{server}/403?RETRY-AFTER=60")) == Signal(True, True, 60.0)
    assert signal_of(raised_by(client, f"{server}/429?retry-after-ms=250")) == Signal(True, True, 0.25)


@by_client
def test_a_date_to_come_back_at(client, server):
    date = formatdate(time.time() + 3600, usegmt=True).replace(" ", "+")
    found = signal_of(raised_by(client, f"{server}/503?Retry-After={date}"))
    assert found.retry_after_s is not None
    assert 3500 < found.retry_after_s <= 3600


@by_client
def test_nobody_listens(client, nobody):
    assert signal_of(raised_by(client, nobody)) == Signal(True, False, None)


@by_client
def test_the_connection_is_closed_before_an_answer(client, server):
    assert signal_of(raised_by(client, f"{server}/close")) == Signal(True, False, None)


@by_client
def test_the_connection_is_closed_in_the_middle_of_an_answer(client, server):
    assert signal_of(raised_by(client, f"{server}/cut")) == Signal(True, False, None)


@pytest.mark.parametrize(
    ("client", "url"),
    [
        (by_httpx, "ftp://127.0.0.1/"),
        (by_httpx, "127.0.0.1/no-scheme"),
        (by_requests, "ftp://127.0.0.1/"),
        (by_requests, "127.0.0.1/no-scheme"),
        (by_requests, "http://[/"),
        (by_aiohttp, "ftp://127.0.0.1/"),
        (by_aiohttp, "http://"),
        (by_urllib, "xyz://127.0.0.1/"),
        (by_urllib, "127.0.0.1/no-scheme"),
    ],
)
def test_an_address_that_cannot_be_meant(client, url):
    assert signal_of(raised_by(client, url)) == NOTHING


@pytest.fixture(scope="module")
def silent():
    """A server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_answer_that_does_not_come(silent):
    for error in (
        raised_by(by_httpx, silent, timeout=0.01),
        raised_by(by_requests, silent, timeout=0.01),
        raised_by(by_aiohttp, silent, timeout=aiohttp.ClientTimeout(total=0.01)),
        raised_by(by_aiohttp, silent, timeout=aiohttp.ClientTimeout(sock_read=0.01)),
        raised_by(by_urllib, silent, timeout=0.01),
    ):
        assert signal_of(error) == Signal(True, False, None), error


@by_client
def test_a_server_that_does_not_speak_tls(client, server):
    """It never will: the address is wrong."""
    assert signal_of(raised_by(client, server.replace("http:", "https:") + "/200")) == NOTHING


# --- certificates and names -------------------------------------------------------------------------------------------


def caused(error, cause):
    error.__cause__ = cause
    return error


REFUSED = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
CUT = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
NO_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NO_ANSWER = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
KEY = ConnectionKey("h", 443, True, True, None, None, None)
POOL = urllib3.HTTPConnectionPool("h")


def in_requests(kind, reason):
    """As its adapter makes it."""
    return kind(urllib3.exceptions.MaxRetryError(POOL, "/", reason))


def from_clients(cause):
    """What clients make of what went wrong below them."""
    dns = isinstance(cause, socket.gaierror)
    below = urllib3.exceptions.NameResolutionError("h", None, cause) if dns else urllib3.exceptions.SSLError(cause)
    yield cause
    yield caused(httpx.ConnectError(str(cause)), caused(OSError("connect"), cause))
    yield in_requests(requests.ConnectionError if dns else requests.exceptions.SSLError, caused(below, cause))
    yield urllib.error.URLError(cause)
    yield (aiohttp.ClientConnectorDNSError if dns else aiohttp.ClientConnectorSSLError)(KEY, cause)


@pytest.mark.parametrize("cause", [REFUSED, NO_HOST], ids=["certificate", "host"])
def test_what_will_be_refused_again(cause):
    for error in [*from_clients(cause), aiohttp.ClientConnectorCertificateError(KEY, REFUSED)]:
        assert signal_of(error) == NOTHING, repr(error)


@pytest.mark.parametrize("cause", [CUT, NO_ANSWER], ids=["cut off", "no answer"])
def test_what_may_be_better_the_next_time(cause):
    for error in from_clients(cause):
        assert signal_of(error) == Signal(True, False, None), repr(error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        ConnectionRefusedError(),
        BrokenPipeError(),
        TimeoutError(),
        NodeTimeout("late"),
        OSError(errno.ENETUNREACH, "unreachable"),
        OSError(errno.EHOSTUNREACH, "unreachable"),
        OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 101] Network is unreachable"),
        http.client.RemoteDisconnected(),
        http.client.IncompleteRead(b""),
        httpx.PoolTimeout("busy"),
        httpx.RemoteProtocolError("closed"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError(),
        requests.exceptions.ChunkedEncodingError(),
        urllib3.exceptions.ProtocolError(),
    ],
    ids=repr,
)
def test_connections_that_were_lost(error):
    assert signal_of(error) == Signal(True, False, None)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        OSError(errno.ENOSPC, "full"),
        FileNotFoundError(),
        PermissionError(),
        UsageError("wrong"),
        httpx.LocalProtocolError("illegal header"),
        httpx.TooManyRedirects("round and round"),
        httpx.DecodingError("no gzip"),
        requests.exceptions.JSONDecodeError("no", "", 0),
        requests.HTTPError("without an answer"),
        aiohttp.ServerFingerprintMismatch(b"", b"", "h", 1),
        aiohttp.ContentTypeError(None, (), status=200),
        KeyboardInterrupt(),
        SystemExit(500),
        asyncio.CancelledError(),
        GeneratorExit(),
        BaseExceptionGroup("", [KeyboardInterrupt()]),
    ],
    ids=repr,
)
def test_errors_that_say_nothing(error):
    assert signal_of(error) == NOTHING


def test_what_is_only_the_context_of_an_error_does_not_count():
    try:
        raise REFUSED
    except ssl.SSLError:
        with contextlib.suppress(ZeroDivisionError):
            error = ConnectionResetError("the other way did not work either")
            error.__context__ = REFUSED
    assert signal_of(error).retryable


def test_an_error_page_where_json_was_wanted():
    """aiohttp: `await answer.json()` without `raise_for_status()`."""
    assert signal_of(aiohttp.ContentTypeError(None, (), status=502)).retryable
