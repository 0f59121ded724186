"""``hush run``: results on standard output, everything else on standard error, and a code that scripts can rely on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hush.cli._failures import failures_text
from hush.cli._inputs import pairs_of
from kit.command import hush

FAILS = """
    from hush.core import *

    def load(path, deep=False):
        return inner(path)

    def inner(path):
        raise ValueError(f"cannot read {path}")

    with GraphNode(name="etl") as graph:
        CodeNode(name="load", code_fn=load, inputs={"path": PARENT["path"]}, outputs=PARENT)
"""
COLLECTS = """
    from hush.core import *

    def half(n):
        if n % 2:
            raise ValueError("odd")
        return {"half": n // 2}

    with GraphNode(name="halves") as graph:
        with MapNode(name="each", inputs={"n": Each(PARENT["ns"])}, outputs=PARENT) as each:
            CodeNode(name="half", code_fn=half, inputs={"n": PARENT["n"]}, outputs=PARENT)
"""
INSIDE = """
    async def inside():
        await Hush(graph).run({"ns": range(72)})

    with GraphNode(name="outer") as outer:
        CodeNode(name="inside", code_fn=inside)
"""


def test_a_run_prints_its_result_as_json(write):
    write()
    assert hush("run", "graph.py", "--input", "n=3") == (0, '{\n  "twice": 6\n}\n', "")


def test_what_functions_print_is_no_result(write):
    write(
        text="""
        from hush.core import *
        print("loading")

        def talk():
            print("at work")
            return {"y": 1}

        with GraphNode(name="g") as graph:
            CodeNode(name="talk", code_fn=talk, outputs=PARENT)
        """
    )
    ran = hush("run", "graph.py")
    assert (ran.code, ran.data) == (0, {"y": 1})
    assert ran.err == "loading\nat work\n"


# --- inputs -----------------------------------------------------------------------------------------------------------
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(JSON)
def test_every_value_of_json_can_be_given(value):
    assert pairs_of([f"x={json.dumps(value)}"]) == {"x": value}


@given(st.text())
def test_what_is_no_json_is_text(text):
    try:
        expected = json.loads(text, parse_constant=lambda name: text)
    except (ValueError, RecursionError):
        expected = text
    assert pairs_of([f"x={text}"]) == {"x": expected}


def test_a_file_gives_inputs_and_single_ones_go_before_it(write):
    write()
    write("in.json", '{"n": 1}')
    assert hush("run", "graph.py", "--inputs", "in.json").data == {"twice": 2}
    assert hush("run", "graph.py", "--inputs", "in.json", "-i", "n=5").data == {"twice": 10}
    assert hush("run", "graph.py", "--inputs", "-", stdin='{\n"n": 4\n}').data == {"twice": 8}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "n"], "--input n: write it as name=value"),
        (["--input", "n=1", "--input", "n=2"], "--input n=… is there twice"),
        (["--input", "m=1"], "no node of the graph reads the input 'm'"),
        (["--inputs", "gone.json"], "--inputs gone.json: No such file or directory"),
        (["--inputs", "list.json"], "write one a line into a .jsonl"),
        (["--inputs", "lines.json"], "it is no JSON: Extra data (line 2, column 1). A file with one run a line is"),
        (["--inputs", "nan.json"], "nan.json: it is no JSON: NaN is no number of JSON"),
        (["--inputs", "-"], "standard input: it is empty"),
        (["--inputs", "latin.json"], "it is not written in UTF-8"),
        (["--timeout", "0"], 'Invalid value "0.0" for --timeout'),
        (["--inpt", "n=1"], "Did you mean --input?"),
    ],
)
def test_wrong_inputs_are_told_before_anything_runs(write, folder, arguments, said):
    write()
    write("list.json", "[1]")
    write("lines.json", '{"n": 1}\n{"n": 2}')
    write("nan.json", '{"n": NaN}')
    (folder / "latin.json").write_bytes(b'{"n": "\xe9"}')
    ran = hush("run", "graph.py", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


# --- several runs -----------------------------------------------------------------------------------------------------
def test_a_file_of_lines_gives_a_line_for_each_in_its_order(write):
    write(
        text=FAILS.replace("raise ValueError", "if path: raise ValueError").replace(
            "return inner(path)", "inner(path); return {'rows': 1}"
        )
    )
    write("in.jsonl", '{"path": ""}\n\n{"path": "a"}\nno json\n{"path": ""}\n')
    ran = hush("run", "graph.py", "--inputs", "in.jsonl", "--request-id", "r")
    assert ran.code == 3
    first, second, third, last = ran.lines
    assert first == last == {"rows": 1}
    assert second["$error"]["type"] == "ValueError"
    assert (second["$error"]["path"], second["$error"]["run"]) == ("etl/load", "r-2")
    assert third["$error"]["message"].startswith("line 4: it is no JSON")
    assert "line 3: failed: etl/load" in ran.err


def test_of_many_lines_that_fail_for_one_reason_the_first_is_told_whole_and_all_are_counted(write):
    write(
        text="""
from hush.core import PARENT, CodeNode, GraphNode
def f(n):
    if n % 3 == 1:
        raise ValueError(f"{n} is too much, api_key=sk-of-mine")
    return {"r": {}[n] if n % 3 == 2 and n > 90 else n}
with GraphNode(name="g") as graph:
    CodeNode(name="f", code_fn=f, inputs={"n": PARENT["n"]}, outputs=PARENT)
"""
    )
    write("in.jsonl", "\n".join([*(f'{{"n": {n}}}' for n in range(100)), "no json"]))
    ran = hush("run", "graph.py", "--inputs", "in.jsonl")
    assert (ran.code, len(ran.lines)) == (3, 101)
    assert ran.err.count("Traceback") == 2
    assert "line 2: failed: g/f (graph.py:8)\n  ValueError: 1 is too much, api_key=[secret]\n\nTraceback" in ran.err
    assert "\nline 5: failed: g/f: ValueError: 4 is too much, api_key=[secret]; as on line 2\n" in ran.err
    assert ran.err.endswith(
        "101 lines: 64 ok, 36 failed, 1 not run\n"
        "  33 ×, such as g/f: ValueError: 1 is too much, api_key=[secret] (lines 2, 5, 8, 11, 14, …)\n"
        "  3 ×, such as g/f: KeyError: 92 (lines 93, 96, 99)\n"
    )
    assert "sk-of-mine" not in ran.err + ran.out
    whole = hush("run", "graph.py", "--inputs", "in.jsonl", "--traceback")
    assert whole.err.count("Traceback") == 36


@pytest.mark.parametrize("lines", ['{"n": 1}\n{"n": 2}', '{"n": "x"}', ""])
def test_where_there_is_nothing_to_sum_up_nothing_is_said_of_lines(write, lines):
    write()
    assert " lines: " not in hush("run", "graph.py", "--inputs", "-", stdin=lines).err


@pytest.mark.parametrize(
    ("lines", "code"),
    [('{"n": 1}\n{"n": 2}', 0), ('{"n": 1}\n{"m": 2}', 3), ('{"m": 1}\n{"m": 2}', 2), ('{"n": []}', 0)],
)
def test_the_code_of_several_runs_tells_whether_some_failed(write, lines, code):
    write()
    ran = hush("run", "graph.py", "--inputs", "-", stdin=lines)
    assert ran.code == code
    assert len(ran.lines) == len(lines.splitlines())


def test_lines_of_standard_input_run_as_they_come(write):
    """Nobody has written the third line before the results of the first two are there."""
    write()
    import io
    import sys
    from contextlib import redirect_stdout

    from hush.cli import main

    out = io.StringIO()

    class Lines(io.StringIO):
        seen = ()

        def readline(self, *size):
            return next(self.told, "")

        def __iter__(self):
            return self

        def __next__(self):
            self.seen = (*self.seen, out.getvalue().count("\n"))
            line = next(self.told, None)
            if line is None:
                raise StopIteration
            return line

    given = Lines()
    given.told = iter(['{"n": 1}\n', '{"n": 2}\n', '{"n": 3}\n'])
    before, sys.stdin = sys.stdin, given
    try:
        with redirect_stdout(out):
            assert main(["run", "graph.py", "--inputs", "-"]) == 0
    finally:
        sys.stdin = before
    assert given.seen == (0, 1, 2, 3)


# --- failures ---------------------------------------------------------------------------------------------------------
def test_a_failure_says_what_where_and_why_without_frames_of_hush(write):
    write(text=FAILS)
    ran = hush("run", "graph.py", "-i", "path=a.csv")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("failed: etl/load (graph.py:11)\n  ValueError: cannot read a.csv\n\nTraceback")
    assert "line 8, in inner" in ran.err
    assert "hush/core" not in ran.err
    assert "hush/cli" not in ran.err
    assert "hush/core" in hush("run", "graph.py", "-i", "path=a.csv", "--traceback").err


def test_secrets_and_what_steers_terminals_are_not_printed(write):
    write(text=FAILS)
    ran = hush("run", "graph.py", "-i", "path=sk-abcdef123456 \x1b[2J\u202e")
    assert "sk-abc" not in ran.err
    assert "[secret]" in ran.err
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    assert r"\x1b[2J\u202e" in ran.err


def test_failures_that_a_run_goes_on_without_are_told_together(write):
    write(text=COLLECTS)
    ran = hush("run", "graph.py", "-i", "ns=[2, 3, 5, 8]")
    assert (ran.code, ran.data["half"]) == (3, [1, None, None, 4])
    assert (
        "partial: the run went on without 2 failures\n  2 × halves/each/half: ValueError: odd (items 1, 2)\n" in ran.err
    )
    assert ran.err.count("went on") == 1


def test_failures_are_told_by_cause_whatever_differs_from_item_to_item(write):
    write(
        text="""
        from hush.core import *

        def check(row):
            if row % 3 == 1:
                raise ValueError(f"bad row {row}")
            if row % 10 == 0:
                raise KeyError("abcdefghijklmnop"[row // 10] * 3)
            if row == 2:
                raise ValueError(f"bad row {row}")

        with GraphNode(name="g") as graph:
            with MapNode(name="each", inputs={"row": Each(PARENT["rows"])}):
                CodeNode(name="check", code_fn=check, inputs={"row": PARENT["row"]})
        """
    )
    ran = hush("run", "graph.py", "-i", f"rows={list(range(96))}")
    assert ran.err == (
        "partial: the run went on without 40 failures\n"
        "  32 × g/each/check: ValueError, such as: bad row 1 (items 1, 4, 7, 10, 13, …)\n"
        "  7 × g/each/check: KeyError, such as: 'aaa' (items 0, 20, 30, 50, 60, …)\n"
        "  1 × g/each/check: ValueError: bad row 2 (item 2)\n"
    )


def test_failures_of_many_kinds_are_cut_and_counted():
    kinds = (ValueError, TypeError, OSError, RuntimeError)
    errors = [kind(f"{word} {kind.__name__}") for kind in kinds for word in ("some", "more")]
    assert failures_text(errors, 50).splitlines() == [
        "partial: the run went on without 50 failures (8 of them kept)",
        *(f"  1 × {type(error).__name__}: {error}" for error in errors[:5]),
        "  and 3 failures of 3 other kinds",
    ]


def test_a_failure_is_told_with_those_that_the_run_had_gone_on_after(write):
    write(
        text=f"""{COLLECTS}
        CodeNode(name="add", code_fn=lambda halves: {{"sum": sum(halves)}}, inputs={{"halves": each["half"]}})
"""
    )
    ran = hush("run", "graph.py", "-i", f"ns={list(range(72))}")
    assert (ran.code, ran.out) == (1, "")
    said, _, traceback = ran.err.partition("\n\n")
    assert said == (
        "failed: halves/add (graph.py:13)\n"
        "  TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'\n"
        "36 failures before it, which the run had gone on after:\n"
        "  36 × halves/each/half: ValueError: odd (items 1, 3, 5, 7, 9, …)"
    )
    assert traceback.startswith("Traceback")


def test_failures_that_were_too_many_are_told_once_of_a_run_inside_a_function_too(write):
    write(text=COLLECTS.replace('["ns"])}', '["ns"])}, on_error=Tolerate(3)') + INSIDE)
    ran = hush("run", "graph.py:graph", "-i", f"ns={list(range(72))}")
    assert ran.code == 1
    assert "before it, which the run had gone on after:\n" in ran.err
    assert "    item 1: " not in ran.err
    ran = hush("run", "graph.py:outer")
    assert ran.code == 1
    assert "    item 1: ValueError: odd\n    item 3: ValueError: odd\n    item 5: ValueError: odd\n\n" in ran.err


def test_of_a_chain_of_causes_as_long_as_may_be_both_ends_are_told(write):
    write(
        text="""
        from hush.core import *

        def fail():
            error = ValueError("cause 0")
            for number in range(1, 3_000):
                after = ValueError(f"cause {number}")
                after.__cause__ = error
                error = after
            raise error

        with GraphNode(name="g") as graph:
            CodeNode(name="fail", code_fn=fail)
        """
    )
    ran = hush("run", "graph.py")
    assert ran.code == 1
    told = [line for line in ran.err.splitlines() if line.startswith("ValueError: ")]
    assert told == [f"ValueError: cause {number}" for number in (*range(10), *range(2_990, 3_000))]
    assert "(2,980 exceptions between these two left out; --traceback shows all)" in ran.err
    assert hush("run", "graph.py", "--traceback").err.count("\nValueError: cause ") == 3_000


def test_of_a_message_as_long_as_may_be_the_beginning_is_told(write):
    """Such as the body of an answer: all of it pushed what had failed off the screen. Secrets are hidden before."""
    write(
        text="""
        from hush.core import *

        def fail():
            padding = "x" * 1_970
            raise ValueError(padding + " password='s3cret-of-the-shop' " + "y" * 100_000) from KeyError("the cause")

        with GraphNode(name="g") as graph:
            CodeNode(name="fail", code_fn=fail)
        """
    )
    ran = hush("run", "graph.py")
    assert ran.code == 1
    assert "KeyError: 'the cause'" in ran.err
    assert len(ran.err) < 6_000
    assert ran.err.count("…\n") == 2
    assert "s3cret" not in ran.err
    whole = hush("run", "graph.py", "--traceback").err
    assert "y" * 100_000 in whole
    assert "s3cret" not in whole


def test_an_attribute_of_the_users_called_hush_is_not_asked(write):
    write(
        text="""
        from hush.core import *

        class Odd(Exception):
            @property
            def hush(self):
                raise RuntimeError

        def fail():
            raise Odd("no")

        with GraphNode(name="g") as graph:
            CodeNode(name="fail", code_fn=fail)
        """
    )
    ran = hush("run", "graph.py")
    assert ran.code == 1
    assert ran.err.startswith("failed: g/fail (graph.py:13)\n  Odd: no\n")


def test_a_run_that_takes_too_long_has_a_code_of_its_own(write):
    write(
        text="""
        import asyncio
        from hush.core import *

        async def wait():
            await asyncio.Event().wait()

        with GraphNode(name="g") as graph:
            CodeNode(name="wait", code_fn=wait)
        """
    )
    ran = hush("run", "graph.py", "--timeout", "0.05")
    assert (ran.code, ran.out) == (124, "")
    assert "RunTimeout" in ran.err


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt()", "asyncio.CancelledError()"])
def test_whatever_a_function_raises_is_a_failure_of_the_run(write, raised):
    write(
        text=f"""
        import asyncio
        from hush.core import *

        async def leave():
            raise {raised}

        with GraphNode(name="g") as graph:
            CodeNode(name="leave", code_fn=leave, executor="inline")
        """
    )
    ran = hush("run", "graph.py")
    assert (ran.code, ran.out) == (1, "")
    assert raised.partition("(")[0].rpartition(".")[2] in ran.err


def test_a_graph_with_problems_is_not_run(write):
    write(text=FAILS.replace('PARENT["path"]}', 'PARENT["path"], "depth": 1}'))
    ran = hush("run", "graph.py", "-i", "path=x")
    assert (ran.code, ran.out) == (4, "")
    assert "graph.py:11: etl/load" in ran.err
    assert ran.err.endswith("1 problem\n")


def test_what_json_cannot_hold_is_told(write):
    write(
        text="""
        from hush.core import *

        class Odd:
            def __repr__(self):
                return "<odd>"

        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=lambda: {"rows": [1, Odd()]}, outputs=PARENT)
        """
    )
    ran = hush("run", "graph.py")
    assert (ran.code, ran.data) == (0, {"rows": [1, "<odd>"]})
    assert ran.err == "hush: JSON cannot hold ['rows'][1]: a graph.Odd, which stands as its repr\n"


def test_progress_is_silent_where_nobody_looks(write):
    write()
    assert hush("run", "graph.py", "-i", "n=1", "--progress") == (0, '{\n  "twice": 2\n}\n', "")


def test_a_file_of_resources_can_be_named(write):
    write(
        text=FAILS.replace("outputs=PARENT", 'outputs=PARENT, limit="crm"').replace(
            "raise ValueError", "return dict(y=1) #"
        )
    )
    write("conf/r.yaml", "limit:crm: {concurrency: 2}\n")
    assert hush("run", "graph.py", "-i", "path=x").code == 4
    assert hush("run", "graph.py", "-i", "path=x", "--resources", "conf/r.yaml").data == {"y": 1}
    ran = hush("run", "graph.py", "-i", "path=x", "--resources", "conf/gone.yaml")
    assert ran.code == 2
    assert "it cannot be read" in ran.err


def test_failures_that_one_line_wraps_are_told_apart_and_told_why():
    def load(number):
        try:
            return {}["price"] if number % 2 else [][number]
        except Exception as error:
            raise ValueError(f"row {number} could not be imported") from error

    errors = []
    for number in range(4):
        try:
            load(number)
        except ValueError as error:
            errors.append(error)
    assert failures_text(errors, 4).splitlines()[1:] == [
        "  2 × ValueError, such as: row 0 could not be imported, from IndexError: list index out of range",
        "  2 × ValueError, such as: row 1 could not be imported, from KeyError: 'price'",
    ]
