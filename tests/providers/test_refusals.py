"""What a provider refuses, and what keeps it from being reached: retried or not as it says, and without secrets."""

from __future__ import annotations

import asyncio
import base64
import copy
import logging
import pickle
import socket
import ssl
import subprocess
import traceback
from dataclasses import replace

import pytest

from hush.core._runtime._signals import signal_of
from hush.providers._clients._failures import Failures, shortened
from hush.providers._clients._limits import duration_s, hold_s
from hush.providers._clients._settings import ClientSettings
from hush.providers._model import ChatRequest
from hush.providers.errors import ProviderError, RefusedByProvider, Unreachable
from hush.testing import leak_check
from kit.llm_forms import FORMS, KEY, OPENAI, Said
from kit.llm_wire import CLOSE, RESET, answer, serving, stream
from providers.contract import Heard

ASK = ChatRequest(messages=[{"role": "user", "content": "?"}])
SAID = Said(content=("yes",))
both = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


async def refused(form, *steps, streamed=False, kind=RefusedByProvider, **settings):
    async with serving() as server:
        server.answers(*steps)
        client = form.client(server.url, **settings)
        with pytest.raises(ProviderError) as caught:
            await client.chat(ASK, Heard() if streamed else None)
        await client.aclose()
    assert type(caught.value) is kind
    return caught.value


# --- whether to ask again ---------------------------------------------------------------------------------------------
@both
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "retryable"),
    [(status, status in (408, 429) or status >= 500) for status in (400, 401, 403, 404, 408, 413, 429, 500, 503, 529)],
)
async def test_the_status_says_whether_to_ask_again(form, status, retryable, streamed):
    error = await refused(form, *answer(form.error("some_code", "No."), status), streamed=streamed)
    assert (error.status_code, error.code, error.resource) == (status, "some_code", f"llm:{form.name}")
    assert signal_of(error).retryable is retryable
    assert f"answered {status} (some_code): No." in str(error)


@both
async def test_headers_that_speak_of_limits_are_kept_and_no_others(form):
    told = {
        "Retry-After": "7",
        "X-RateLimit-Remaining-Requests": "0",
        "anthropic-ratelimit-requests-remaining": "0",
        "Date": "Thu, 26 Nov 2026 00:00:00 GMT",
        "Set-Cookie": "a=b",
        "request-id": "r-1",
    }
    error = await refused(form, *answer(form.error("x", "y"), 429, told))
    assert error.headers == {name.lower(): value for name, value in told.items() if name != "Set-Cookie"}
    assert error.request_id == "r-1"
    assert signal_of(error).retry_after_s == 7


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m1.5s"}, 61.5),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1m1.5s"}, None),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    ],
)
async def test_when_to_come_back_is_heard(headers, after_s):
    error = await refused(OPENAI, *answer(OPENAI.error("rate_limit_exceeded", "Slow down."), 429, headers))
    assert signal_of(error).retry_after_s == after_s


async def test_gemini_says_in_the_body_when_to_come_back():
    body = [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota.", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]}}]  # fmt: skip
    error = await refused(OPENAI, *answer(body, 429))
    assert signal_of(error).retry_after_s == 34
    assert error.code == "RESOURCE_EXHAUSTED"
    assert "Quota." in str(error)


async def test_an_empty_account_is_not_asked_again():
    error = await refused(OPENAI, *answer(OPENAI.error("insufficient_quota", "You exceeded your quota."), 429))
    assert not signal_of(error).retryable
    body = {"error": {"type": "insufficient_quota", "code": None, "message": "x"}}
    assert not signal_of(await refused(OPENAI, *answer(body, 429))).retryable


async def test_an_error_in_a_success_has_its_own_status():
    body = {"error": {"code": 429, "message": "Provider returned error", "metadata": {"raw": "too busy"}}}
    for streamed in (False, True):
        error = await refused(OPENAI, *answer(body, 200, {"retry-after": "3"}), streamed=streamed)
        assert error.status_code == 429
        assert "Provider returned error too busy" in str(error)
        assert signal_of(error).retry_after_s == 3


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "field required"),
        ({"error": "model 'x' not found"}, "model 'x' not found"),
        ({"message": "no Route matched"}, "no Route matched"),
        ({"errors": [{"message": "one"}]}, "one"),
        ({"object": "error", "message": "too long", "code": 400}, "too long"),
        (b"<html><head><title>504 Gateway Time-out</title></head><body>x</body></html>", "504 Gateway Time-out"),
        (b"upstream connect error", "upstream connect error"),
        (b"", "nothing more"),
        (b"\xff\xfe{", "answered 400"),
        ({"error": {"message": {"deep": 1}}}, "answered 400"),
        ({"error": None}, "answered 400"),
        ([], "answered 400"),
        ("no", "no"),
    ],
)
async def test_errors_of_any_shape_are_told(body, text):
    error = await refused(OPENAI, *answer(body, 400))
    assert text in str(error)
    assert "<" not in str(error)


# --- how to mend it ---------------------------------------------------------------------------------------------------
@both
async def test_what_to_look_at_is_named(form):
    error = await refused(form, *answer(form.error("not_found_error", "no such model"), 404))
    assert "model 'm-1'" in str(error)
    assert "http://127.0.0.1:" in str(error)
    for status in (401, 403):
        assert f"api_key of llm:{form.name}" in str(await refused(form, *answer(form.error("x", "y"), status)))
    assert "it has none" in str(await refused(form, *answer(form.error("x", "y"), 401), api_key=None))


@both
async def test_redirects_are_not_followed(form):
    async with serving() as other:
        told = {"location": f"{other.url}/v1/chat/completions?key={KEY}"}
        error = await refused(form, *answer(b"", 307, told))
        assert other.seen == []
        assert other.url in str(error)
    assert KEY not in str(error)
    assert error.status_code == 307
    assert not signal_of(error).retryable


# --- secrets ----------------------------------------------------------------------------------------------------------
def shown(error):
    """All that a log, a trace or a debugger's first look would show."""
    text = [str(error), repr(error), *traceback.format_exception(error), repr(vars(error))]
    text += [repr(copy.copy(error)), pickle.dumps(error).decode("latin-1")]
    seen = set()
    frame = error.__traceback__
    while frame is not None:
        if "providers" in frame.tb_frame.f_code.co_filename and "tests" not in frame.tb_frame.f_code.co_filename:
            text.append(repr(frame.tb_frame.f_locals))
        seen.add(frame.tb_frame)
        frame = frame.tb_next
    return "\n".join(text)


@both
@pytest.mark.parametrize("streamed", [False, True])
async def test_no_error_shows_a_secret(form, streamed):
    others = {"X-Corp": "corp-7f21aa03", "X-Team": "team"}
    secrets = [KEY, "corp-7f21aa03", "hunter22", "sk-proj-abcdef123456", "Bearer abc.def.ghi"]
    echo = f"key={KEY} Authorization: Bearer {KEY} corp-7f21aa03 hunter22 sk-proj-abcdef123456 Bearer abc.def.ghi"
    hostile = [
        answer(form.error(echo, echo), 401),
        answer(echo.encode(), 500, {"retry-after": "1", "x-request-id": "r"}),
        answer(f"<html><title>{echo}</title>".encode()),
        answer({"error": {"message": echo, "code": 400, "type": echo}}),
        answer({"error": echo}),
        answer({"choices": [{"finish_reason": "error", "message": {"content": echo}}]}),
        answer(f"[{echo}".encode()),
        answer(f'"{echo}"'.encode()),
        stream([f"data: {echo}\n\n".encode()]),
        stream([f'data: "{echo}"\n\n'.encode()]),
        stream([f"event: error\ndata: {echo}\n\n".encode()]),
        answer(b"", 302, {"location": f"http://u:hunter22@x/{KEY}"}),
        [f"HTTP/1.1 200 {echo}\r\ncontent-length: x\r\n\r\n".encode(), CLOSE],
        [f"{echo}\r\n\r\n".encode(), CLOSE],
        [RESET],
    ]
    async with serving() as server:
        url = server.url.replace("//", "//user:hunter22@")
        client = form.client(url, headers=others)
        for steps in hostile:
            server.answers(*steps)
            with pytest.raises(ProviderError) as caught:
                await client.chat(ASK, Heard() if streamed else None)
            text = shown(caught.value)
            assert caught.value.__context__ is None
            for secret in secrets:
                assert secret not in text, steps
        await client.aclose()


@both
async def test_no_log_shows_a_secret(form, caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(form.says(SAID)) as server:
        url = f"{server.url.replace('//', '//us:hunter22@')}/v1"
        for key in (KEY, None):
            client = form.client(server.url, base_url=url, api_key=key, headers={"X-Corp": "corp-7f21aa03"})
            await client.chat(ASK, Heard())
            server.answers(*answer(form.error(KEY, f"{KEY} hunter22"), 400))
            with pytest.raises(RefusedByProvider):
                await client.chat(ASK)
            await client.aclose()
            server.script = form.says(SAID)
        told = {seen.headers["authorization"] for seen in server.seen}
    assert told == {f"Bearer {KEY}", f"Basic {base64.b64encode(b'us:hunter22').decode()}"}
    assert "POST" in caplog.text
    for secret in (KEY, "hunter22", "corp-7f21aa03", base64.b64encode(b"us:hunter22").decode()):
        assert secret not in caplog.text


@both
async def test_the_settings_show_no_secret(form):
    given = ClientSettings(
        vendor="openai", model="m", api_key=KEY, base_url=f"https://u:{KEY}@x/v1?key={KEY}", headers={"a": KEY},
        proxy=f"http://u:{KEY}@y",
    )  # fmt: skip
    assert KEY not in repr(given)
    assert KEY not in given.shown_url
    assert KEY not in given.who
    assert set(given.secrets) >= {KEY}


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (f"https://u:{KEY}@far.example.com/v1?key={KEY}", "far.example.com:443"),
        ("HTTP://Far.example.com/v1", "far.example.com:80"),
        ("http://localhost:11434/v1", "localhost:11434"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
        (None, "api.openai.com:443"),
        ("https://far:many/v1", None),
        ("no address", None),
    ],
)
def test_the_server_is_the_host_and_the_port(url, server):
    assert ClientSettings(vendor="openai", model="m", base_url=url).server == server


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Bearer abc.def", "Bearer [secret]"),
        ("Incorrect API key provided: sk-ab***yz. See", "Incorrect API key provided: [secret] See"),
        ("Basic dXNlcjpwdw==", "Basic [secret]"),
        ("http://u:pw@host/y", "http://[secret]@host/y"),
        ("a task-1 is no key, nor is ask-me", "a task-1 is no key, nor is ask-me"),
        ("abcdefabcdef", "[secret][secret]"),
    ],
)
def test_texts_are_redacted(text, clean):
    settings = ClientSettings(vendor="openai", model="m", api_key="abcdef", headers={"a": "x", "b": ""})
    assert Failures(settings).clean(text) == clean


def test_texts_are_shortened_after_they_are_redacted():
    """A key that is cut in two would not be found."""
    for length in range(480, 500):
        told = Failures(ClientSettings(vendor="openai", model="m", api_key=KEY)).clean("x" * length + KEY)
        assert KEY[:5] not in told
    assert len(shortened("a b\n" * 1000)) == 500
    assert shortened("a  b\nc") == "a b c"


# --- not reached ------------------------------------------------------------------------------------------------------
async def not_reached(form, url, **settings):
    client = form.client(url, **settings)
    with pytest.raises(ProviderError) as caught:
        await client.chat(ASK)
    await client.aclose()
    assert caught.value.__context__ is None
    return caught.value


@both
async def test_nobody_listens(form):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = await not_reached(form, f"http://127.0.0.1:{port}")
    assert type(error) is Unreachable
    assert signal_of(error).retryable


@both
async def test_the_host_does_not_exist(form):
    error = await not_reached(form, "http://no-such-host.invalid")
    assert type(error) is Unreachable
    assert "not found" in str(error)
    if error.__cause__.errno == socket.EAI_NONAME:  # else there is no name server to ask, which may change
        assert not signal_of(error).retryable


@both
@pytest.mark.parametrize("url", ["no-scheme/v1", "ftp://x/v1", "http://", "http://[::1/v1"])
async def test_an_address_that_is_none(form, url):
    error = await not_reached(form, url)
    assert not signal_of(error).retryable
    assert "base_url" in str(error)


@both
async def test_a_key_that_no_header_can_hold(form):
    async with serving() as server:
        error = await not_reached(form, server.url, api_key="line\nbreak")
        assert not signal_of(error).retryable
        assert "break" not in str(error)
        assert server.seen == []


@both
async def test_what_cannot_be_written_as_json(form):
    client = form.client("http://127.0.0.1:9")
    for content in (object(), "\ud800", float("nan")):
        with pytest.raises(ProviderError) as caught:
            await client.chat(replace(ASK, extra={"x": content}))
        assert not signal_of(caught.value).retryable
    await client.aclose()


@both
async def test_a_lost_connection_is_tried_again(form):
    for step in (RESET, CLOSE):
        error = await refused(form, step, kind=Unreachable)
        assert signal_of(error).retryable


# --- TLS --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody else has signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-subj", "/CN=nobody",
        "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    try:
        subprocess.run(made, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl here to make a certificate")
    return folder / "cert.pem", folder / "key.pem"


@both
async def test_a_certificate_that_nobody_signed_is_refused(form, certificate):
    cert, key = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    async with serving(form.says(SAID), tls=tls) as server:
        error = await not_reached(form, server.url)
        assert type(error) is Unreachable
        assert not signal_of(error).retryable
        assert "certificate" in str(error)
        assert f"verify of llm:{form.name}" in str(error)
        assert server.seen == []
        error = await not_reached(form, server.url.replace("127.0.0.1", "localhost"), verify=str(cert))
        assert not signal_of(error).retryable  # it is for another name
        trusting = form.client(server.url, verify=str(cert))
        assert (await trusting.chat(ASK)).content == "yes"
        await trusting.aclose()
    assert "verify=" in str(await not_reached(form, server.url, verify=str(cert.with_name("none.pem"))))


@both
async def test_a_handshake_that_is_cancelled_leaves_no_connection(form, certificate):
    cert, key = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    async with serving(form.says(SAID), tls=tls) as server, leak_check():
        first = form.client(server.url, verify=str(cert))
        await first.chat(ASK)  # so that all is imported
        await first.aclose()
        for passes in range(60):
            client = form.client(server.url, verify=str(cert))
            asking = asyncio.create_task(client.chat(ASK))
            for _ in range(passes):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            await client.aclose()


async def test_contexts_are_made_once():
    from hush.providers._clients import _connections

    made = [await _connections.tls_context(ClientSettings(vendor="openai", model=name)) for name in "ab"]
    assert made[0] is made[1]
    assert made[0].verify_mode is ssl.CERT_REQUIRED
    assert made[0].check_hostname


# --- allowances -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("12ms", 0.012),
        ("1.5s", 1.5),
        ("1h2m3s", 3723),
        ("2m59.56s", 179.56),
        ("3", 3),
        ("1d", 86400),
        *((text, 0) for text in ("", "soon", "5 s", "1s!", "1761433200", "-1s", "٣s")),
    ],
)
def test_durations(text, seconds):
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "9s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}, 9),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-26T00:00:30Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-26T02:00:10+02:00",
                "date": "Thu, 26 Nov 2026 00:00:00 GMT",
            },
            30,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "never",
            },
            None,
        ),
    ],
)
def test_holding(headers, seconds):
    assert hold_s(headers) == seconds


@both
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_success_that_used_the_allowance_up_says_so(form, streamed):
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "250ms"}
    async with serving() as server:
        server.answers(*(stream(form.events(SAID), headers=told) if streamed else answer(form.whole(SAID), 200, told)))
        client = form.client(server.url)
        reply = await client.chat(ASK, Heard() if streamed else None)
        await client.aclose()
    assert reply.hold_s == 0.25
