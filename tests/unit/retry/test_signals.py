"""What an error says, made with the real clients where there are any, and whatever its attributes do."""

from __future__ import annotations

import asyncio
import contextlib
import email.message
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
from hypothesis import given
from hypothesis import strategies as st

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


# --- shapes of others -------------------------------------------------------------------------------------------------


class Told(Exception):
    def __init__(self, **attributes):
        super().__init__()
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    ("after_s", "found_s"),
    [(5, 5.0), (0, 0.0), (0.5, 0.5), (-3, 0.0), (float("inf"), None), (float("nan"), None), (None, None)],
)
def test_an_exception_says_when_to_come_back(after_s, found_s):
    found = signal_of(Told(retry_after_s=after_s))
    assert found == (NOTHING if found_s is None else Signal(True, True, found_s))


def test_an_exception_says_it_in_its_class():
    class Busy(Exception):
        retry_after_s = 2

    assert signal_of(Busy()) == Signal(True, True, 2.0)


def test_the_later_of_two_times_counts():
    answer = httpx.Response(429, headers={"Retry-After": "9"})
    assert signal_of(Told(retry_after_s=1, response=answer)).retry_after_s == 9
    assert signal_of(Told(retry_after_s=10, response=answer)).retry_after_s == 10


def headers(**given):
    return {name.replace("_", "-"): value for name, value in given.items()}


@pytest.mark.parametrize(
    "made",
    [
        lambda found: Told(status_code=429, headers=found),
        lambda found: Told(status=429, headers=found),
        lambda found: Told(code=429, headers=found),
        lambda found: Told(response=Told(status_code=429, headers=found)),
        lambda found: Told(response=Told(status=429, headers=found)),
        lambda found: Told(response={"ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": found}}),
    ],
)
@pytest.mark.parametrize(
    "found",
    [
        {"retry-after": "3"},
        {"Retry-After": "3"},
        {"RETRY-AFTER": b"3"},
        {b"Retry-After": b"3"},
        {"retry-after": 3},
        {"retry-after": ["3"]},
        {"retry-after": " 3 "},
        {"retry-after-ms": "3000", "retry-after": "4"},
        {"x-ms-retry-after-ms": "3000"},
        httpx.Headers({"retry-after": "3"}),
    ],
    ids=repr,
)
def test_headers_in_any_mapping(made, found):
    assert signal_of(made(found)) == Signal(True, True, 3.0)


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "1e3", "inf", "nan", "1_0", "٣", "9" * 400, "Sun, 99 Nov 2040", "1,2"]
)
def test_a_time_that_cannot_be_read_is_none(text):
    assert signal_of(Told(status=429, headers={"Retry-After": text})) == Signal(True, True, None)
    assert signal_of(Told(status=400, headers={"Retry-After": text})) == NOTHING


@pytest.mark.parametrize(
    "date", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_a_date_counts_from_when_the_answer_was_sent(date):
    """RFC 9110, 5.6.7 has these three forms. The sender's clock may be wrong: it is right about the difference."""
    sent = "Sun, 06 Nov 1994 08:49:07 GMT"
    assert signal_of(Told(status=503, headers={"Retry-After": date, "Date": sent})).retry_after_s == 30
    assert signal_of(Told(status=503, headers={"Retry-After": date})).retry_after_s == 0  # long ago


@pytest.mark.parametrize(
    ("status", "found", "after_s"),
    [
        (429, headers(ratelimit_remaining="0", ratelimit_reset="50"), 50),
        (429, headers(ratelimit_remaining="0", ratelimit_reset="50", retry_after="2"), 2),
        (429, headers(ratelimit_remaining="3", ratelimit_reset="50"), None),
        (503, headers(ratelimit_remaining="0", ratelimit_reset="50"), None),
        (429, headers(ratelimit_reset="50"), None),
        (429, headers(x_ratelimit_remaining="0", x_ratelimit_reset="50"), None),
        (429, headers(x_ratelimit_remaining="0", x_ratelimit_reset="6m0s"), None),
        (429, headers(x_ratelimit_remaining="0", x_ratelimit_reset="784111797", date="x"), None),
        (
            429,
            headers(x_ratelimit_remaining="0", x_ratelimit_reset="1700000030", date="Tue, 14 Nov 2023 22:13:20 GMT"),
            30,
        ),
        (
            429,
            headers(ratelimit_remaining="0", ratelimit_reset="1700000030", date="Tue, 14 Nov 2023 22:13:20 GMT"),
            30,
        ),
    ],
)
def test_a_limit_that_is_used_up_says_when_it_starts_anew(status, found, after_s):
    assert signal_of(Told(status=status, headers=found)).retry_after_s == after_s


def test_a_server_may_say_whether_to_try_again():
    assert not signal_of(Told(status_code=429, headers={"x-should-retry": "false"})).retryable
    assert signal_of(Told(status_code=409, headers={"x-should-retry": "true"})).retryable


@pytest.mark.parametrize("status", [0, 200, 302, 399, 600, True, "503", 503.0, None])
def test_what_is_no_status_of_an_error(status):
    assert signal_of(Told(status=status, headers={"Retry-After": "1"})) == NOTHING


def test_an_answer_that_is_false():
    """`requests.Response` is, from 400 on."""
    answer = requests.Response()
    answer.status_code = 503
    assert not answer
    assert signal_of(requests.HTTPError(response=answer)) == Signal(True, True, None)


def test_the_exit_code_of_a_program_is_no_status():
    assert signal_of(Told(code=500)) == NOTHING


def test_urllib_has_headers_of_its_own_kind():
    found = email.message.Message()
    found["retry-after"] = "4"
    with contextlib.closing(urllib.error.HTTPError("http://h", 503, "busy", found, None)) as error:
        assert signal_of(error) == Signal(True, True, 4.0)


def of_package(module, name, *bases, **attributes):
    """An exception of a package that is not installed here."""
    return type(name, bases or (Exception,), {"__module__": module, **attributes})()


HTTPX2 = type(of_package("httpx2", "TransportError"))


class Code:
    def __init__(self, name):
        self.name = name


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (of_package("openai", "APIConnectionError"), Signal(True, False, None)),
        (of_package("anthropic._exceptions", "APIConnectionError"), Signal(True, False, None)),
        (of_package("httpx2", "TransportError"), Signal(True, False, None)),
        (
            of_package("httpx2", "UnsupportedProtocol", type("TransportError", (Exception,), {"__module__": "httpx2"})),
            NOTHING,
        ),
        (of_package("httpxtra", "TransportError"), NOTHING),
        (of_package("google.api_core.exceptions", "GoogleAPICallError", code=503), Signal(True, True, None)),
        (of_package("grpc", "RpcError", code=lambda _: Code("UNAVAILABLE")), Signal(True, False, None)),
        (of_package("grpc", "RpcError", code=lambda _: Code("RESOURCE_EXHAUSTED")), Signal(True, True, None)),
        (of_package("grpc", "RpcError", code=lambda _: Code("NOT_FOUND")), NOTHING),
        (of_package("grpc", "RpcError"), NOTHING),
        (
            Told(response={"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}),
            Signal(True, True, None),
        ),
        (Told(response={"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}), NOTHING),
    ],
)
def test_packages_that_are_not_installed_here(error, found):
    assert signal_of(error) == found


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_is_what_all_of_its_members_are():
    busy, lost, wrong = Told(retry_after_s=3), ConnectionResetError(), ValueError()
    assert signal_of(ExceptionGroup("", [busy, lost])) == Signal(True, True, 3.0)
    assert signal_of(ExceptionGroup("", [busy, wrong])) == Signal(False, True, 3.0)
    assert signal_of(ExceptionGroup("", [ExceptionGroup("", [lost, Told(retry_after_s=8)]), busy])).retry_after_s == 8
    assert signal_of(BaseExceptionGroup("", [lost, KeyboardInterrupt()])) == NOTHING


# --- whatever its attributes do ---------------------------------------------------------------------------------------

READ = ["retry_after_s", "response", "status_code", "status", "headers", "code", "reason", "os_error", "exceptions"]


class Strange:
    """Every use of it raises."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    __float__ = __bool__ = __eq__ = __hash__ = __iter__ = __len__ = __getitem__ = __call__ = None


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("base", [Exception, ConnectionError, urllib.error.URLError], ids=lambda base: base.__name__)
def test_an_attribute_of_which_every_use_raises(name, base):
    error = type("Odd", (base,), {name: Strange(), "__init__": lambda self: None})()
    assert isinstance(signal_of(error), Signal)


ODD = [None, True, -1, 10**400, "503", b"", (), [1], {}, {"ResponseMetadata": 1}, 429, 5.5, int, object()]
RAISES = [ZeroDivisionError, RecursionError, asyncio.CancelledError, SystemExit, GeneratorExit]
texts = st.text("0123456789.-e:, GMTSun", max_size=30)


@given(
    st.sampled_from([Exception, ConnectionError, OSError, aiohttp.ClientError, requests.HTTPError]),
    st.dictionaries(st.sampled_from(READ), st.sampled_from([*ODD, *RAISES])),
)
def test_whatever_the_attributes_are_or_do_nothing_is_raised(base, attributes):
    def raises(kind):
        def read(self):
            raise kind

        return property(read, lambda self, value: None)

    made = {name: raises(value) if value in RAISES else value for name, value in attributes.items()}
    found = signal_of(type("Odd", (base,), made)())
    assert isinstance(found, Signal)
    assert found.retry_after_s is None or found.retry_after_s >= 0


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "date", "retry-after-ms", "ratelimit-reset"]), st.sampled_from(ODD) | texts
    )
)
def test_whatever_the_headers_are_nothing_is_raised(found):
    signal = signal_of(Told(status=429, headers=found))
    assert signal.retryable
    assert signal.overloaded
    assert signal.retry_after_s is None or signal.retry_after_s >= 0


def test_errors_that_lead_in_a_circle():
    one, other = ConnectionError(), ConnectionError()
    one.__cause__, other.__cause__ = other, one
    one.args = (one, other)
    assert signal_of(one).retryable


def test_nothing_is_changed():
    error = httpx.ConnectError("no")
    before = dict(error.__dict__), error.args, error.__traceback__, error.__context__
    signal_of(error)
    assert (dict(error.__dict__), error.args, error.__traceback__, error.__context__) == before
