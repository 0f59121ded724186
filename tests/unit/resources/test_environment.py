"""``HUSH_RESOURCES``: settings in a variable, which go before those of the file that is looked for."""

from __future__ import annotations

import pytest

from hush.core import ResourceError, ResourceHub


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HUSH_CONFIG", raising=False)
    monkeypatch.delenv("HUSH_RESOURCES", raising=False)
    return tmp_path


def test_settings_in_a_variable_are_the_default(nowhere, monkeypatch):
    monkeypatch.setenv("RATE_OF_THIS_TEST", "7")
    monkeypatch.setenv("HUSH_RESOURCES", "limit:crm: {rpm: '${RATE_OF_THIS_TEST}'}\nlimit:erp:\n  concurrency: 2\n")
    hub = ResourceHub.default()
    assert (hub.limit("crm").per_minute, hub.limit("erp").concurrency) == (7, 2)
    assert ResourceHub.default() is hub
    assert ResourceHub().keys() == ()


def test_they_may_be_json(nowhere, monkeypatch):
    monkeypatch.setenv("HUSH_RESOURCES", '{"limit:crm": {"rpm": 7}}')
    assert ResourceHub.default().limit("crm").per_minute == 7


def test_they_go_before_those_of_the_file_key_by_key(nowhere, monkeypatch):
    (nowhere / "resources.yaml").write_text("limit:crm: {rpm: 1}\nlimit:erp: {rpm: 2}\n", encoding="utf-8")
    before = ResourceHub.default()
    monkeypatch.setenv("HUSH_RESOURCES", "limit:crm: {rpm: 3}")
    hub = ResourceHub.default()
    assert (hub.limit("crm").per_minute, hub.limit("erp").per_minute) == (3, 2)
    assert before.limit("crm").per_minute == 1
    monkeypatch.setenv("HUSH_RESOURCES", "limit:crm: {rpm: 4}")
    assert ResourceHub.default().limit("crm").per_minute == 4
    monkeypatch.setenv("HUSH_RESOURCES", "")
    assert ResourceHub.default().limit("crm").per_minute == 1


def test_what_is_wrong_names_the_variable_and_the_line(nowhere, monkeypatch):
    monkeypatch.setenv("HUSH_RESOURCES", "limit:crm:\n  rpm: planted-x\n")
    [one] = ResourceHub.default().check()
    assert (one.file, one.line, one.column) == ("HUSH_RESOURCES", 2, 8)
    with pytest.raises(ResourceError, match=r"looked in: HUSH_RESOURCES"):
        ResourceHub.default().limit("mail")
    monkeypatch.setenv("HUSH_RESOURCES", "limit: crm: 5")
    with pytest.raises(ResourceError, match=r"HUSH_RESOURCES:1:11\): this is no YAML"):
        ResourceHub.default()


def test_a_text_that_is_too_long_is_refused(nowhere):
    from hush.core._resources._files import read_text

    with pytest.raises(ResourceError, match=r"HUSH_RESOURCES\): it is longer than 256 Ki characters"):
        read_text("#" * (256 * 1024 + 1))


def test_nothing_of_it_is_kept_where_it_would_be_seen(nowhere, monkeypatch):
    monkeypatch.setenv("HUSH_RESOURCES", "llm:x: {type: openai, model: m, api_key: planted-key-1}")
    hub = ResourceHub.default()
    assert "planted" not in repr(hub) + repr(ResourceHub._defaults) + repr(vars(hub)) + repr(hub._make("llm:x"))
