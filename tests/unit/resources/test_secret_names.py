"""Which names say that what stands under them is secret, and which only sound like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hush.core.extend import is_secret_name

SECRET = [
    *("api_key", "apiKey", "API-KEY", "x-api-key", "apikey", "OPENAI_API_KEY", "api_key_2", "private_key"),
    *("aws_secret_access_key", "secret", "client_secret", "secret_key", "Authorization", "Proxy-Authorization"),
    *("password", "db_password", "dbPassword", "passphrase", "credentials"),
    *("token", "accessToken", "access_token", "next_page_token", "limit_token", "max_access_token", "usedToken"),
    *(
        "token_used_before",
        "total_cost_token",
        "per_token",
        "count_secret_2",
        "token_count_password",
        "api_key_per_user",
        "password_used",
    ),
    *("pwd", "DB_PWD", "PGPASSWORD", "passwords", "passcode", "cookie", "set-cookie", "Cookies", "sessionCookie"),
    *("cookie_value", "jwt", "id_jwt", "otp", "otp_code", "pin", "cardPin", "signature", "X-Hub-Signature-256"),
    *("Ocp-Apim-Subscription-Key", "subscription-key", "AccountKey", "api_keys", "accesstoken", "master_key"),
    *("session_token_id", "secret_token_type", "eos_api_key", "password_eos_token", "next_token"),
]
AMOUNTS = [
    *("token_count", "promptTokenCount", "candidatesTokenCount", "totalTokenCount", "total_token_count", "TOKEN_COUNT"),
    *("token-count", "token_counts", "token_count_2", "password_length", "passwordLength", "secret_len", "token_limit"),
    *("token_usage", "token_total", "token_budget", "token_size", "api_key_count", "auth_rate", "max_password_length"),
    *(
        "token_used",
        "tokenCountPrompt",
        "total_token_used",
        "max_token",
        "num_token",
        "cost_per_token",
        "token_per_second",
    ),
]
OTHERS = [
    *("tokens_per_minute", "tpm", "max_tokens", "tokenizer", "key", "keys", "model", "name", "author", "base_url"),
    *("secretary", "monkey", "concurrency", "api", "sort_key", "count", "max", "", "2"),
    *("cookie_policy", "cookie_count", "pin_code", "pins", "spin", "opinion", "method_signature", "signatures_of"),
    *("eos_token", "bos-token", "padTokenId", "pad_token_id", "token_id", "token_type", "access_token_type"),
    *("keyboard", "primary_key", "session_id", "otpions", "passport", "design"),
]


@pytest.mark.parametrize("name", SECRET)
def test_names_of_secrets_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", AMOUNTS)
def test_how_many_or_how_long_they_are_is_no_secret(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_none(name):
    assert not is_secret_name(name)


def spelt(words: list[str], how: str) -> str:
    if how == "camel":
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return how.join(words)


HOWS = st.sampled_from(["_", "-", ".", "camel"])


@given(st.lists(st.sampled_from(["total", "max", "count", "limit", "usage", "db", "user", "next"]), max_size=4), HOWS)
def test_what_ends_as_a_credential_is_secret_whatever_amounts_stand_before_it(before, how):
    """``limit_token`` is a token. Only ``max_token`` and its like, two words, are how people write ``max_tokens``."""
    for last in (["password"], ["api", "key"], ["access", "token"]):
        assert is_secret_name(spelt([*before, *last], how))
        assert is_secret_name(spelt([*before, *last, "2"], how))


@given(
    st.lists(st.sampled_from(["total", "max", "prompt", "api", "key", "token", "secret", "password"]), max_size=4), HOWS
)
def test_what_ends_as_an_amount_is_shown_whatever_stands_before_it(before, how):
    for last in ("count", "length", "limit", "usage", "budget"):
        assert not is_secret_name(spelt([*before, last], how))
