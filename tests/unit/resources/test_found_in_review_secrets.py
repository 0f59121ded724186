"""Secrets in the text of others, and texts that hold none: found while looking at traces with fresh eyes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core._resources._secrets import _without
from hush.core.extend import without_named_secrets, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "bad config {'password': 'planted'}",
        'bad config {"client_secret": "planted"}',
        "bad config {'headers': {'X-Token': b'planted'}}",
        "Settings(api_key='planted', n=1)",
        'api_key = "plan\\"ted planted"',
        "cannot open host=db password=planted; giving up",
        "Bearer planted",
        "bearer is-planted",
        "GET https://h/a?b=1&key=planted",
        "GET https://h/a?appsecret=planted",
        "GET https://h/a?authkey=0planted",
        "git clone https://planted_16C7e42F292c@github.com/a/b.git failed",
        "from eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.planted it says",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nplanted\n-----END PGP PRIVATE KEY BLOCK-----",
    ],
)
def test_what_stands_under_a_secret_name_in_a_text(text):
    assert "planted" not in without_named_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "Unexpected token: 'if'",
        "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
        "max_tokens=4096 is above the limit: 'tokens': 'many'",
        "password=None",
        "if password == 1234:",
        "Basic HTTP/1.1, basic AUTH tests, the basic Python3 example, Basic Test failed",
        "Bearer of bad news: bearer tokens are no bearer token.",
        "GET https://h/a?sort_key=abc&page=2, ?monkey=banana",
        "eos_token=</s>, bos_token='<s>', pad_token_id=50256, token_type=Bearer1",
        "ssh://deploy-of-the-shop@h/a.git, postgres://ada2@db/x, https://h/a?by=planted_16C7e42F292c@h",
        "this is a basic example of basic authentication",
        "x" * 100_000 + "='a'",
    ],
)
def test_what_is_no_secret_stays(text):
    assert without_named_secrets(text) == text


@pytest.mark.parametrize(
    "encoded", ["YTpi", "YWJjOng=", "YWJjOng", "YWRhOmh1bnRlcg==", "YWRhOmh1bnRlc", "0123456789abcdef0123"]
)
def test_what_stands_after_basic_goes_where_it_has_a_user_and_a_password(encoded):
    assert without_secrets(f"Basic {encoded}, x") == "Basic [secret], x"


def test_lines_of_source_keep_what_only_names_a_secret():
    assert without_named_secrets("log_in(user, password=settings.password)", code=True) == (
        "log_in(user, password=settings.password)"
    )
    assert "planted" not in without_named_secrets("log_in(user, password='planted')", code=True)


PIECES = ["bearer ", "BASIC ", "\u017fk-", "sk-", "-----BEGIN PRIVATE KEY-----", "://", "a:b@", "c", "?key=", "&token="]
PIECES += ["eyJhbGciOiJ9", ".", "=", "Zm9v", " ", "1", "\n", "x", "\u212a"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_quick_look_misses_nothing(text):
    assert without_secrets(text) == _without(text, ())
