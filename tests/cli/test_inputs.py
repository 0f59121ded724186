"""Files of one run a line: a line that cannot be read costs its own run, and no other, wherever it comes from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.cli._inputs import inputs_of
from kit.command import hush
from kit.tiers import every_change

# What a line may be, and whether it can be read.
good = st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(max_size=4), max_size=2).map(
    lambda value: (json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), value)
)
readable = good.filter(lambda one: b"\xed" not in one[0])  # no half of a character, which is no UTF-8
broken = st.sampled_from(
    [b'{"n": "\xff"}', b"\xc3", b"{", b"[1]", b"no json", b'{"n": NaN}', b'{"n": 1} {"n": 2}', b"\x00"]
)
blank = st.sampled_from([b"", b" ", b"\t"])
lines = st.lists(readable | broken.map(lambda one: (one, None)) | blank.map(lambda one: (one, "")), max_size=9)


@settings(every_change, max_examples=60)
@given(lines, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.booleans())
def test_each_line_is_read_by_itself(tmp_path_factory, given_lines, end, marked, ended):
    path = tmp_path_factory.mktemp("lines") / "in.jsonl"
    text = end.join(line for line, _ in given_lines) + (end if ended else b"")
    path.write_bytes((b"\xef\xbb\xbf" if marked and given_lines and given_lines[0][0] else b"") + text)
    with inputs_of(str(path), {"m": 1}) as found:
        read = list(found.lines)
    expected = [(number, value) for number, (_, value) in enumerate(given_lines, 1) if value != ""]
    assert [line.number for line in read] == [number for number, _ in expected]
    for line, (number, value) in zip(read, expected, strict=True):
        if value is None:
            assert line.wrong.startswith(f"line {number}: ")
            assert "line" not in line.wrong.removeprefix(f"line {number}: ")  # it is told once which one it is
        else:
            assert (line.wrong, line.inputs) == ("", {**value, "m": 1})


@pytest.mark.parametrize("source", ["in.jsonl", "-"])
def test_a_line_that_is_no_utf_8_costs_only_its_own_run(write, folder, source):
    """It ended the command in the middle, or reached the graph as half a character."""
    write()
    data = b'{"n": 1}\n{"n": "d\xc3\xa9j\xff"}\n{"n": 3}\n{"n": \n'
    (folder / "in.jsonl").write_bytes(data)
    ran = hush("run", "graph.py", "--inputs", source, stdin=data if source == "-" else b"")
    assert ran.code == 3
    first, second, third, last = ran.lines
    assert (first, third) == ({"twice": 2}, {"twice": 6})
    why = "line 2: it is not written in UTF-8: byte 0xff in column 11"
    assert second == {"$error": {"type": "InputError", "message": why}}
    assert last["$error"]["message"] == "line 4: it is no JSON: Expecting value (column 7)"
    assert why in ran.err


def test_the_first_line_of_standard_input_may_be_the_damaged_one(write):
    write()
    ran = hush("run", "graph.py", "--inputs", "-", stdin=b'\n{"n": "\xff"}\n{"n": 3}\n')
    assert ran.code == 3
    assert ran.lines[0]["$error"]["message"].startswith("line 2: it is not written in UTF-8: byte 0xff in column 8")
    assert ran.lines[1] == {"twice": 6}


@pytest.mark.parametrize("source", ["in.json", "-"])
def test_in_a_file_of_one_run_it_is_said_where_it_is_no_utf_8(write, folder, source):
    write()
    data = b'{\n  "n": "\xff"\n}'
    (folder / "in.json").write_bytes(data)
    ran = hush("run", "graph.py", "--inputs", source, stdin=data if source == "-" else b"")
    assert (ran.code, ran.out) == (2, "")
    assert "it is not written in UTF-8: byte 0xff in line 2, column 9" in ran.err
