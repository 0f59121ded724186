"""What an error says by its attributes: the shapes of others, headers, groups; and whatever its attributes do."""

from __future__ import annotations

import asyncio
import contextlib
import email.message
import urllib.error
import urllib.request

import aiohttp
import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from hush.core._runtime._signals import NOTHING, Signal, signal_of

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
