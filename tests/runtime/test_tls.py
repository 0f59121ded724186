"""A server whose certificate is bad is told nothing: no key, no prompt, not even which path was asked for.

These tests show that the kit's server is refused for the one reason that it has, by the SDKs that Hush builds on.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest

from kit.tls_server import ELSEWHERE, EXPIRED, GOOD, SELF_SIGNED, serving_tls, trusting

MODELS = json.dumps({"object": "list", "data": []}).encode()

KEY = "sk-planted"


@asynccontextmanager
async def client_of(url: str, context: ssl.SSLContext | None) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(verify=context) if context else openai.DefaultAsyncHttpxClient()
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=http) as client:
        yield client


def root_of(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


async def test_a_good_certificate_is_taken() -> None:
    with serving_tls(GOOD, MODELS) as server:
        async with client_of(server.url, trusting()) as client:
            assert (await client.models.list()).data == []
        async with client_of(f"https://localhost:{server.port}", trusting()) as client:
            assert (await client.models.list()).data == []
    (first, _) = server.seen
    assert first[:2] == ("GET", "/models")
    assert first[2]["authorization"] == f"Bearer {KEY}"
    assert server.refused == 0


@pytest.mark.parametrize(
    ("certificate", "trusted", "why"),
    [
        (EXPIRED, True, "certificate has expired"),
        (ELSEWHERE, True, "certificate is not valid for '127.0.0.1'"),
        (SELF_SIGNED, True, "self-signed certificate"),
        (GOOD, False, "self-signed certificate in certificate chain|unable to get local issuer certificate"),
    ],
)
async def test_a_bad_certificate_is_refused_before_anything_is_sent(certificate: str, trusted: bool, why: str) -> None:
    with serving_tls(certificate, MODELS) as server:
        async with client_of(server.url, trusting() if trusted else None) as client:
            with pytest.raises(openai.APIConnectionError) as refused:
                await client.models.list()
    assert isinstance(root_of(refused.value), ssl.SSLCertVerificationError)
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        raise root_of(refused.value)
    assert (server.seen, server.refused) == ([], 1)
