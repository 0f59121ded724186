"""``ResourceHub``: names, sharing, what it is made of, and what is said of a name that is not there."""

from __future__ import annotations

import threading
from pathlib import Path
from types import MappingProxyType

import pytest

from hush.core import ResourceError, ResourceHub, UsageError
from hush.core.extend import resource_in

HERE = __file__


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder and a home without files, and no variables that name others."""
    for name in ("here", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("HUSH_CONFIG", "HUSH_RESOURCES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# --- names ------------------------------------------------------------------------------------------------------------
def test_bare_and_prefixed_names_mean_the_same():
    hub = ResourceHub({"limit:crm": {"rpm": 5}, "limit:a:b": {"rpm": 6}, "limit:limit:c": {"rpm": 7}})
    assert hub.limit("crm") is hub.limit("limit:crm")
    assert hub.limit("a:b") is hub.limit("limit:a:b")
    assert hub.limit("limit:c") is hub.limit("limit:limit:c")
    assert hub.limit("a:b").name == "a:b"


def test_what_is_served_without_being_a_node_looks_its_resource_up(nowhere):
    hub = ResourceHub({"limit:crm": {"rpm": 5}, "otel:main": {"endpoint": "http://c"}})
    found = resource_in(hub, "otel", "main")
    assert found is resource_in(hub, "otel", "otel:main")
    assert repr(found) == "<otel:main>"
    assert resource_in(hub, "limit", "crm") is hub.limit("crm")
    with pytest.raises(ResourceError, match=r"there is no otel:crm [^\n]*\n +There are: main\."):
        resource_in(hub, "otel", "crm")
    with pytest.raises(ResourceError, match=r"there is no otel:main \(no file was found"):
        resource_in(None, "otel", "main")
    write(nowhere / "here" / "resources.yaml", "otel:main: {endpoint: 'http://d'}\n")
    assert resource_in(None, "otel", "main") is resource_in(ResourceHub.default(), "otel", "main") is not found


def test_a_hub_lists_its_keys_and_knows_them():
    hub = ResourceHub({"limit:b": {"rpm": 5}, "llm:x": {}, "limit:a": {"rpm": 5}})
    assert hub.keys() == ("limit:b", "llm:x", "limit:a")
    assert len(hub) == 3
    assert "limit:b" in hub
    assert "b" not in hub
    assert "limit:c" not in hub
    assert repr(hub) == "<ResourceHub: limit:b, llm:x, limit:a>"
    assert (repr(ResourceHub()), ResourceHub().keys(), ResourceHub().check()) == ("<ResourceHub: empty>", (), [])


@pytest.mark.parametrize("name", [None, 5, ["crm"]])
def test_a_name_is_a_string(name):
    with pytest.raises(UsageError, match="no name of a resource"):
        ResourceHub({"limit:crm": {"rpm": 5}}).limit(name)


# --- sharing ----------------------------------------------------------------------------------------------------------
def test_one_hub_gives_one_limit_and_two_hubs_give_two(tmp_path):
    file = write(tmp_path / "r.yaml", "limit:crm: {rpm: 5}\n")
    one, other = ResourceHub(path=file), ResourceHub(path=file)
    assert one.limit("crm") is one.limit("crm")
    assert one.limit("crm") is not other.limit("crm")


def test_threads_that_ask_at_once_get_the_same_limit():
    hub = ResourceHub({"limit:crm": {"rpm": 5}})
    together = threading.Barrier(8)
    found: list[object] = []

    def ask() -> None:
        together.wait()
        found.append(hub.limit("crm"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


# --- from code --------------------------------------------------------------------------------------------------------
def test_settings_of_code_are_copied():
    inner = {"rpm": 5}
    settings = {"limit:crm": inner}
    hub = ResourceHub(MappingProxyType(settings))
    inner["rpm"] = 6
    settings["limit:erp"] = {"rpm": 6}
    assert hub.limit("crm").per_minute == 5
    assert hub.keys() == ("limit:crm",)


def test_what_is_wrong_in_code_names_its_line():
    hub = ResourceHub({"limit:crm": {"rpm": -1}})  # <-
    [one] = hub.check()
    assert (one.file, one.line, one.column) == (HERE, line_of("# <-"), 0)
    assert str(one).startswith(f"limit:crm ({HERE}:{one.line}): rpm should be greater than 0")


def line_of(mark: str) -> int:
    lines = Path(HERE).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"  {mark}"))


@pytest.mark.parametrize("settings", ["resources.yaml", [("limit:crm", {})], 5, Path("x")])
def test_settings_of_another_kind_are_refused(settings):
    with pytest.raises(UsageError, match="settings are a mapping"):
        ResourceHub(settings)


@pytest.mark.parametrize("path", [5, ["x"], {}])
def test_a_path_of_another_kind_is_refused(path):
    with pytest.raises(UsageError, match="the path of a file"):
        ResourceHub(path=path)


def test_settings_that_no_file_could_hold_are_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(UsageError, match="deeper than"):
        ResourceHub({"limit:crm": endless})
    with pytest.raises(UsageError, match="not by 5"):
        ResourceHub({"limit:crm": {5: 5}})


def test_settings_of_code_go_before_those_of_the_file(tmp_path):
    file = write(tmp_path / "r.yaml", "limit:crm: {rpm: 5}\nlimit:erp: {rpm: 6}\n")
    hub = ResourceHub({"limit:crm": {"tpm": 7}}, path=file)
    assert (hub.limit("crm").per_minute, hub.limit("crm").tokens_per_minute) == (None, 7)
    assert hub.limit("erp").per_minute == 6


# --- keys -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "mend"),
    [
        ("crm", "Write limit:name, and the settings below it."),
        ("limit:", "Write limit:name, and the settings below it."),
        (":crm", "Write limit:name, and the settings below it."),
        ("limit: crm", "Write limit:name, and the settings below it."),
        ("limit:c r m", "Write limit:name, and the settings below it."),
        ("limit:${X}", "Write limit:name, and the settings below it."),
        ("Limit:crm", "Write limit:name, and the settings below it."),
    ],
)
def test_a_key_is_category_and_name(key, mend):
    with pytest.raises(ResourceError) as raised:
        ResourceHub({key: {"rpm": 5}, "limit:right": {"rpm": 5}})
    [one] = raised.value.problems
    assert (one.message, one.mend) == (f"the key {key!r} is no category:name, such as limit:crm", mend)


def test_names_below_their_category_are_refused_with_the_line_to_write(tmp_path):
    file = write(tmp_path / "r.yaml", "x: 1\nlimit:\n  crm:\n    rpm: 5\n")
    with pytest.raises(ResourceError, match=r"r\.yaml:2:1\): the key 'limit' is no category:name") as raised:
        ResourceHub(path=file)
    assert [(one.line, one.mend) for one in raised.value.problems] == [
        (1, "Write limit:name, and the settings below it."),
        (2, "Write limit:crm, and the settings below it."),
    ]


def test_a_category_that_nobody_knows_is_no_matter_until_it_is_needed(tmp_path):
    hub = ResourceHub(path=write(tmp_path / "r.yaml", "limit:crm: {rpm: 5}\nlimits:erp:\n  rpm: 5\nzzz:x: ${GONE}\n"))
    assert hub.limit("crm").per_minute == 5
    assert [(one.path, one.line, one.message, one.mend) for one in hub.check()] == [
        ("limits:erp", 2, "limits is no kind of resource", "Did you mean limit?"),
        ("zzz:x", 4, "zzz is no kind of resource", "There are: limit, embedding, fake, langfuse, llm, otel, rerank."),
    ]
    with pytest.raises(ResourceError, match=r"There is limits:erp \(.*r\.yaml:2\), which is something else"):
        hub.limit("erp")


# --- names that are not there -----------------------------------------------------------------------------------------
def test_a_name_that_is_not_there_is_told_with_the_nearest_where_was_looked_and_what_to_add(tmp_path):
    file = write(tmp_path / "r.yaml", "limit:erp: {rpm: 5}\n\nlimit:crm: {rpm: 5}\n")
    for name in ("crn", "limit:crn"):
        with pytest.raises(ResourceError) as raised:
            ResourceHub(path=file).limit(name)
        assert str(raised.value) == (
            f"there is no limit:crn (looked in: {file})\n"
            f"    Did you mean 'crm' ({file}:3)? Else add to {file}:\n"
            "        limit:crn:\n"
            "          concurrency: 10"
        )
        [one] = raised.value.problems
        assert (one.path, one.file, one.line) == ("limit:crn", str(file), 0)


def test_without_a_near_name_all_are_listed():
    with pytest.raises(ResourceError, match=r"There are: crm, erp\. Else add to .*test_hub\.py:\d+:\n"):
        ResourceHub({"limit:crm": {"rpm": 5}, "limit:erp": {}}).limit("zzzzzzz")


def test_an_empty_hub_says_so(nowhere):
    with pytest.raises(ResourceError, match=r"looked in: an empty hub\)\n    Add to \./resources\.yaml:"):
        ResourceHub().limit("crm")
    with pytest.raises(
        ResourceError, match=r"looked for: HUSH_RESOURCES \(not set\), HUSH_CONFIG \(not set\), \./resou"
    ):
        ResourceHub.default().limit("crm")


def test_a_name_of_another_kind_of_resource_is_told_as_that():
    hub = ResourceHub({"llm:gpt": {}, "limit:crm": {"rpm": 5}})
    with pytest.raises(ResourceError, match=r"there is no limit:llm:gpt .*\n    There is llm:gpt \(.*\), which is som"):
        hub.limit("llm:gpt")


# --- files ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: 1\nb: \xff\n", r"\(.*r\.yaml:2\): it is not written in UTF-8"),
        ("a: 1".encode("utf-16"), r"r\.yaml:1\): it is not written in UTF-8"),
        (b"limit:a: {rpm: 5}\n" + b"#" * (256 * 1024), r"r\.yaml\): it is larger than 256 KiB"),
        (b"- limit:crm\n", r"r\.yaml:1:1\): it holds no mapping from category:name to settings"),
        (b"crm\n", r"r\.yaml:1:1\): it holds no mapping"),
        (b"limit:a: {}\nlimit:a: {}\n", r"r\.yaml:2:1\): the key 'limit:a' stands here a second time, first in line 1"),
    ],
)
def test_a_file_that_is_wrong_is_told_when_it_is_read(tmp_path, data, said):
    file = tmp_path / "r.yaml"
    file.write_bytes(data)
    with pytest.raises(ResourceError, match=said):
        ResourceHub(path=file)


def test_a_file_as_large_as_is_allowed_is_read(tmp_path):
    text = b"limit:a: {rpm: 5}\n"
    (tmp_path / "r.yaml").write_bytes(text + b"#" * (256 * 1024 - len(text)))
    assert ResourceHub(path=tmp_path / "r.yaml").keys() == ("limit:a",)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\xef\xbb\xbf", b"---\n"])
def test_a_file_without_anything_is_an_empty_hub(tmp_path, data):
    (tmp_path / "r.yaml").write_bytes(data)
    assert ResourceHub(path=tmp_path / "r.yaml").keys() == ()


def test_a_mark_of_byte_order_is_no_part_of_a_key(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbflimit:a: {rpm: x}\n")
    hub = ResourceHub(path=tmp_path / "r.yaml")
    assert [(one.path, one.line, one.column) for one in hub.check()] == [("limit:a", 1, 16)]


def test_a_file_that_is_named_must_be_there(tmp_path, nowhere):
    for path in (tmp_path / "gone.yaml", str(tmp_path / "gone.yaml"), "~/gone.yaml", "../gone.yaml"):
        with pytest.raises(ResourceError, match=r"gone\.yaml\): it cannot be read: No such file"):
            ResourceHub(path=path)
    for path, said in ((tmp_path, "Is a directory"), ("a\0b", "null byte")):
        with pytest.raises(ResourceError, match=f"it cannot be read: .*{said}"):
            ResourceHub(path=path)


# --- where it is looked for -------------------------------------------------------------------------------------------
def test_the_first_file_that_is_there_is_the_default(nowhere, monkeypatch):
    assert ResourceHub.default().keys() == ()
    write(nowhere / "home/.hush/resources.yaml", "limit:home: {rpm: 5}\n")
    assert ResourceHub.default().keys() == ("limit:home",)
    write(nowhere / "here/resources.yaml", "limit:here: {rpm: 5}\n")
    assert ResourceHub.default().keys() == ("limit:here",)
    named = write(nowhere / "named.yaml", "limit:named: {rpm: 5}\n")
    monkeypatch.setenv("HUSH_CONFIG", str(named))
    assert ResourceHub.default().keys() == ("limit:named",)
    monkeypatch.setenv("HUSH_CONFIG", "../named.yaml")
    assert ResourceHub.default().keys() == ("limit:named",)
    monkeypatch.setenv("HUSH_CONFIG", "~/.hush/resources.yaml")
    assert ResourceHub.default().keys() == ("limit:home",)
    monkeypatch.setenv("HUSH_CONFIG", "")
    assert ResourceHub.default().keys() == ("limit:here",)


def test_a_file_that_the_variable_names_must_be_there(nowhere, monkeypatch):
    write(nowhere / "here/resources.yaml", "limit:here: {rpm: 5}\n")
    monkeypatch.setenv("HUSH_CONFIG", str(nowhere / "gone.yaml"))
    with pytest.raises(ResourceError, match=r"gone\.yaml\): it cannot be read: .*\(HUSH_CONFIG names it\)"):
        ResourceHub.default()


@pytest.mark.parametrize("what", ["folder", "link"])
def test_what_is_found_and_cannot_be_read_is_not_passed_over(nowhere, what):
    write(nowhere / "home/.hush/resources.yaml", "limit:home: {rpm: 5}\n")
    if what == "folder":
        (nowhere / "here/resources.yaml").mkdir()
    else:
        (nowhere / "here/resources.yaml").symlink_to("gone")
    with pytest.raises(ResourceError, match=r"here/resources\.yaml\): it cannot be read"):
        ResourceHub.default()


def test_the_default_is_one_hub_until_its_file_changes(nowhere):
    empty = ResourceHub.default()
    assert ResourceHub.default() is empty
    file = write(nowhere / "here/resources.yaml", "limit:crm: {rpm: 5}\n")
    hub = ResourceHub.default()
    assert ResourceHub.default() is hub
    file.write_text("limit:crm: {rpm: 50}\n", encoding="utf-8")
    changed = ResourceHub.default()
    assert (hub.limit("crm").per_minute, changed.limit("crm").per_minute) == (5, 50)
    fresh = ResourceHub.default(fresh=True)
    assert fresh is not changed
    assert ResourceHub.default() is fresh
    file.unlink()
    assert ResourceHub.default() is empty


def test_a_file_that_was_wrong_is_read_again_once_it_is_right(nowhere):
    file = write(nowhere / "here/resources.yaml", "limit: crm: 5\n")
    for _ in range(2):
        with pytest.raises(ResourceError, match=r"no blank after its first colon"):
            ResourceHub.default()
    file.write_text("limit:crm: {rpm: 5}", encoding="utf-8")
    assert ResourceHub.default().limit("crm").per_minute == 5


def test_a_pipe_is_read_once(nowhere, monkeypatch):
    """`HUSH_CONFIG=<(decrypt resources.yaml)`: it has no second reading."""
    import os

    reader, writer = os.pipe()
    os.write(writer, b"limit:crm: {rpm: 5}\n")
    os.close(writer)
    try:
        monkeypatch.setenv("HUSH_CONFIG", f"/dev/fd/{reader}")
        hub = ResourceHub.default(fresh=True)
        assert hub.keys() == ("limit:crm",)
        assert ResourceHub.default() is hub
    finally:
        os.close(reader)
