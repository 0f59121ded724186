"""Where traces are sent: arguments, resources and variables, which goes first, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from hush.core import ResourceHub
from hush.core.errors import ResourceError, UsageError
from hush.core.extend import without_secrets
from hush.observability._otel._endpoint import endpoint_of
from hush.observability._otel._langfuse import found_project
from hush.observability._otel._project import Project, endpoint_to
from hush.observability._otel._resources import TraceTarget, target
from kit.otlp_receiver import Answer

VARIABLES = (
    "ENDPOINT", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY",
)  # fmt: skip
LANGFUSE = ("PUBLIC_KEY", "SECRET_KEY", "BASE_URL", "HOST", "TRACING_ENVIRONMENT", "RELEASE")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_TRACES_{name}", raising=False)
    for name in LANGFUSE:
        monkeypatch.delenv(f"LANGFUSE_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HUSH_CONFIG", raising=False)
    monkeypatch.delenv("HUSH_RESOURCES", raising=False)
    monkeypatch.chdir(tmp_path)


def made(url=None, headers=None, timeout_s=None):
    return endpoint_of("OTelTracer", url, headers, timeout_s)


# --- a collector ------------------------------------------------------------------------------------------------------
def test_without_anything_it_is_the_collector_on_this_machine():
    found = made()
    assert (found.url, found.headers, found.timeout_s) == ("http://localhost:4318/v1/traces", (), 10.0)
    assert (found.compression, found.verify, found.certificate) == ("none", True, None)


def test_the_variables_are_heeded(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example.com:4318/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Api-Key=planted-1%20a, tenant = planted-2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3.5")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem")
    found = made()
    assert found.url == "https://c.example.com:4318/v1/traces"
    assert dict(found.headers) == {"x-api-key": "planted-1 a", "tenant": "planted-2"}
    assert (found.timeout_s, found.compression, found.verify) == (3.5, "gzip", "ca.pem")
    assert found.certificate == "client.pem"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem")
    assert made().certificate == ("client.pem", "key.pem")


def test_those_for_traces_go_before_those_for_all_and_arguments_before_both(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces/as/it/is")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=planted-1,b=planted-2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2")
    assert made().url == "http://traces/as/it/is"
    found = made("http://mine/v1/traces", {"A": "planted-3"}, 1)
    assert (found.url, found.timeout_s) == ("http://mine/v1/traces", 1.0)
    assert dict(found.headers) == {"a": "planted-3", "b": "planted-2"}


def test_endpoints_that_are_equal_are_one(monkeypatch):
    assert made("http://a/v1/traces", {"x": "planted-1"}) == made("http://a/v1/traces", {"X": "planted-1"})
    assert len({made(), made()}) == 1


@pytest.mark.parametrize("url", ["localhost:4317", "ftp://a", "", "http://", "grpc://a:4317", 4318, "http://a:0"])
def test_what_is_no_address_is_an_error_at_the_line(url):
    with pytest.raises(UsageError, match="http://localhost:4318/v1/traces"):
        made(url)


@pytest.mark.parametrize(
    "headers",
    [{"a": "planted\n"}, {"a": "plantéd"}, {"a\n": "planted"}, {"a": 1}, {"": "planted"}, "a=planted"],
)
def test_a_header_that_cannot_be_sent_is_an_error_without_its_value(headers):
    with pytest.raises(UsageError) as caught:
        made(None, headers)
    assert "plant" not in str(caught.value)


@pytest.mark.parametrize("seconds", [0, -1, True, "1", float("nan"), float("inf")])
def test_a_time_that_is_none_is_an_error(seconds):
    with pytest.raises(UsageError, match="seconds above 0"):
        made(timeout_s=seconds)


@pytest.mark.parametrize(
    ("name", "value"), [("TIMEOUT", "soon"), ("TIMEOUT", "0"), ("COMPRESSION", "zip"), ("HEADERS", "a=b%0Ac")]
)
def test_a_variable_that_is_wrong_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    with pytest.raises(UsageError, match=f"OTEL_EXPORTER_OTLP_{name}"):
        made()


@pytest.mark.parametrize("url", ["http://c:4318", "http://c:4318/", " http://c:4318/v1/traces "])
def test_a_server_is_enough(url):
    assert made(url).url == "http://c:4318/v1/traces"


def test_another_path_is_kept():
    assert made("http://c/otlp/").url == "http://c/otlp/"


def test_a_word_in_a_header_is_not_removed_from_every_text():
    made(None, {"x-dataset": "breakfast", "x-team": "planted-and-rather-long"})
    assert without_secrets("breakfast") == "breakfast"
    assert "planted" not in without_secrets("planted-and-rather-long")


def test_headers_are_secret_from_then_on():
    found = made(None, {"Authorization": "Bearer planted-key-77"})
    assert "planted" not in repr(found)
    assert "planted" not in without_secrets("it says planted-key-77")


# --- Langfuse ---------------------------------------------------------------------------------------------------------
KEYS = Project("pk-lf-1", "sk-lf-planted-1")


def test_keys_of_the_line_are_enough():
    to = endpoint_to(found_project(KEYS, None, ResourceHub()))
    assert to.url == "https://cloud.langfuse.com/api/public/otel/v1/traces"
    assert dict(to.headers)["x-langfuse-ingestion-version"] == "4"
    assert dict(to.headers)["authorization"].startswith("Basic ")
    assert to.compression == "gzip"
    assert "planted" not in repr(to)


@pytest.mark.parametrize(
    "host",
    ["https://lf.example.com", "https://lf.example.com/", "https://lf.example.com/api/public/otel/v1/traces"],
)
def test_the_host_is_taken_however_it_is_written(host):
    assert endpoint_to(KEYS._replace(host=host)).url == "https://lf.example.com/api/public/otel/v1/traces"


def test_headers_for_another_collector_are_not_sent_to_langfuse(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=planted-other")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other")
    to = endpoint_to(KEYS)
    assert "planted-other" not in dict(to.headers).values()
    assert to.url.startswith("https://cloud.langfuse.com/")


def test_variables_are_taken_where_nothing_is_given(monkeypatch):
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-lf-2")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-lf-planted-2")
    monkeypatch.setenv("LANGFUSE_HOST", "https://host")
    found = found_project(Project(), None, None)
    assert found[:3] == ("pk-lf-2", "sk-lf-planted-2", "https://host")
    monkeypatch.setenv("LANGFUSE_BASE_URL", "https://base")
    monkeypatch.setenv("LANGFUSE_RELEASE", "9")
    monkeypatch.setenv("LANGFUSE_TRACING_ENVIRONMENT", "staging")
    found = found_project(Project(secret_key="sk-lf-planted-3"), None, None)
    assert found[:5] == ("pk-lf-2", "sk-lf-planted-3", "https://base", "staging", "9")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (Project(), "public_key and secret_key are missing"),
        (Project(public_key="pk"), "secret_key is missing"),
        (Project(secret_key="sk-planted"), "public_key is missing"),
    ],
)
def test_a_key_that_is_missing_is_an_error_that_names_all_three_ways(given, missing):
    with pytest.raises(UsageError, match=missing) as caught:
        found_project(given, None, None)
    said = str(caught.value)
    assert "LANGFUSE_SECRET_KEY" in said
    assert "public_key=" in said
    assert 'resource_key="langfuse:default"' in said
    assert "planted" not in said


@pytest.mark.parametrize("given", [Project("pk:1", "sk-planted"), Project("pk", "plantéd"), Project("pk\n", "planted")])
def test_a_key_that_cannot_be_sent_is_an_error_without_it(given):
    with pytest.raises(UsageError) as caught:
        endpoint_to(given)
    assert "plant" not in str(caught.value)


# --- resources --------------------------------------------------------------------------------------------------------
def hub(**settings):
    return ResourceHub({"langfuse:default": {"public_key": "pk-lf-3", "secret_key": "sk-lf-planted-4", **settings}})


def test_langfuse_default_is_found_by_itself_and_goes_before_variables(monkeypatch):
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-lf-2")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-lf-planted-2")
    found = found_project(Project(), None, hub(base_url="https://lf", timeout=3, environment="prod"))
    assert found == ("pk-lf-3", "sk-lf-planted-4", "https://lf", "prod", None, 3.0)


@pytest.mark.parametrize("key", ["langfuse:default", "default"])
def test_a_resource_that_is_named_is_completed_by_what_stands_beside_it(key):
    found = found_project(Project(host="https://mine"), key, hub(host="https://lf"))
    assert found[:3] == ("pk-lf-3", "sk-lf-planted-4", "https://mine")


def test_a_resource_that_is_not_there_is_an_error_with_what_to_write():
    with pytest.raises(ResourceError, match="LANGFUSE_PUBLIC_KEY"):
        found_project(Project(), "langfuse:eu", hub())


def test_settings_that_are_wrong_are_told_without_a_secret():
    with pytest.raises(ResourceError) as caught:
        target("langfuse", "default", hub(host="lf.example.com", colour="red"))
    said = str(caught.value)
    assert "host" in said
    assert "colour" in said
    assert "planted" not in said


def test_a_collector_as_a_resource(tmp_path, monkeypatch):
    (tmp_path / "resources.yaml").write_text(
        "otel:main:\n  endpoint: https://c/v1/traces\n  headers: {x-api-key: '${KEY}'}\n  service_name: shop\n"
    )
    monkeypatch.setenv("KEY", "planted-5")
    found = target("otel", "main", None)
    assert found.endpoint.get_secret_value() == "https://c/v1/traces"
    assert found.headers["x-api-key"].get_secret_value() == "planted-5"
    assert (found.service_name, found.timeout_s) == ("shop", None)
    assert "planted" not in repr(found)


def both(receiver):
    host = receiver.url.removesuffix("/v1/traces")
    langfuse = {"public_key": "pk-lf-3", "secret_key": "sk-lf-planted-4", "host": host}
    return ResourceHub({"langfuse:default": langfuse, "otel:main": {"endpoint": receiver.url}})


def test_a_target_that_does_not_say_where_it_sends_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        TraceTarget("otel:x", None)


def test_checking_sends_a_request_without_spans(receiver):
    found = both(receiver).check()
    assert not found
    assert found.works == dict.fromkeys(["langfuse:default", "otel:main"], "a request without spans was taken")
    assert {asked.path for asked in receiver.asked} == {"/v1/traces", "/api/public/otel/v1/traces"}
    assert not receiver.spans


def test_checking_says_what_is_wrong_without_a_secret(receiver):
    receiver.always = Answer(401, body=b"no such key: sk-lf-planted-4", kind="text/plain")
    found = both(receiver).check()
    assert list(found.fails) == ["langfuse:default", "otel:main"]
    assert "answered 401" in str(found)
    assert "planted" not in str(found)
    assert not both(receiver).check(open=False)
