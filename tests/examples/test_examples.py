"""The examples as a newcomer runs them: programs of their own, judged by what they print, leave behind and exit with.

Every program here has its standard error captured, and the ETL's server inherits it: that stream ends only when the
server has ended too. So each ``communicate`` below that returns proves that no server was left running.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
STDLIB = Path(sysconfig.get_paths()["stdlib"])
PATIENCE_S = 40.0
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

PLAIN = """
def one():
    return 1


class Two:
    '''Documented.'''

    def three(self, a, b=lambda: 0):
        if a and b or self:
            return [x for x in a if x]
        assert a
"""
NESTED = """
import functools

@functools.cache
def outer():
    async def inner():
        async for x in y:
            pass

    try:
        def tried(): pass
    except OSError:
        def caught(): pass
    else:
        class Other: pass
    finally:
        def last(): pass
    match 1:
        case 1:
            def matched(): pass
"""
GOOD = {
    "plain.py": PLAIN.encode(),
    "json/nested.py": NESTED.encode(),
    "crlf.py": b"def a():\r\n    x = 1\r\n\r\n    return x\r\n\x0c\r\ndef b():\r\n    while 1:\r\n        '\x0c'\r\n",
    "latin.py": "# coding: latin-1\ndef café():\n    return 'é'\n".encode("latin-1"),
    "empty.py": b"",
}
BAD = {"bad_syntax.py": b"def broken(:\n", "json/bad_encoding.py": b"# coding: no-such\ndef f(): pass\n"}
IGNORED = {"site-packages/other.py": b"def ignored(): pass\n", "notes.txt": b"def ignored(): pass\n"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the tests that only read what one good run printed and left behind."""
    return tmp_path_factory.mktemp("etl")


@pytest.fixture(scope="module")
def printed(home: Path) -> str:
    """What a good run into ``home / "work"`` printed."""
    code, out, err = run(home, "etl.py", "--workdir", "work", "--sources", make_sources(home / "sources"))
    assert (code, err) == (0, "")
    return out


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return make_sources(tmp_path / "sources")


def make_sources(folder: Path) -> Path:
    """A folder of sources with whatever is hard to split into definitions."""
    for name, content in {**GOOD, **BAD, **IGNORED}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def start(cwd: Path, program: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / program), *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


def run(cwd: Path, program: str, *arguments: object, **env: str) -> tuple[int, str, str]:
    return finish(start(cwd, program, *arguments, **env))


def definitions(source: bytes) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    yield from [node for node in ast.walk(ast.parse(source)) if isinstance(node, DEFINITIONS)]


def branches(source: bytes) -> int:
    """Branches inside the file's definitions, each counted once, however deep the definitions nest."""
    inside = {id(node): node for definition in definitions(source) for node in ast.walk(definition)}.values()
    ways = (
        ast.If,
        ast.IfExp,
        ast.For,
        ast.AsyncFor,
        ast.While,
        ast.ExceptHandler,
        ast.comprehension,
        ast.match_case,
        ast.Assert,
    )
    return sum(isinstance(n, ways) for n in inside) + sum(
        len(n.values) - 1 for n in inside if isinstance(n, ast.BoolOp)
    )


def covered(source: bytes) -> int:
    """Lines of the file that belong to a definition."""
    spans = [
        range(min([node.lineno, *[name.lineno for name in node.decorator_list]]), (node.end_lineno or 0) + 1)
        for node in definitions(source)
    ]
    return len(set().union(*spans))


def query(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


def loaded(workdir: Path) -> dict[str, bytes]:
    """Everything that lies in the work folder, but the source database."""
    return {name: (workdir / name).read_bytes() for name in names_in(workdir) if name != "source.db"}


def names_in(workdir: Path) -> list[str]:
    """What is in the folder, but for what was recorded of runs."""
    return sorted(path.name for path in workdir.iterdir() if not path.name.startswith("traces.db"))


def test_the_first_look_runs_three_functions_at_once_and_one_item_fails_alone(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "parallel_demo.py")
    assert (code, err) == (0, "")
    values = re.findall(r"^(\w+) +([\d.]+) \$$", out, re.MULTILINE)
    assert values == [("tea", "594.00"), ("coffee", "231.00"), ("cocoa", "0.00")]
    assert "demo/values/value, item 3: KeyError('mate')" in out
    rows = [line for line in out.splitlines() if line.startswith("  demo/")]
    bars = {line.split()[0]: (line.index("#"), line.rindex("#")) for line in rows}
    waits = [bars[name] for name in ("demo/prices", "demo/stock", "demo/rate")]
    assert max(begin for begin, _ in waits) < min(end for _, end in waits)


def test_every_definition_is_measured_and_every_file_that_does_not_parse_is_reported(home: Path, printed: str) -> None:
    work = home / "work"
    expected = sorted(
        (name, node.name, node.lineno, ast.get_docstring(node) is not None)
        for name, source in GOOD.items()
        for node in definitions(source)
    )
    assert f"{len(expected)} definitions measured: 2 class, {len(expected) - 3} def, 1 async def." in printed
    assert (
        "2 files do not parse:\n  bad_syntax.py: invalid syntax (line 1)\n  json/bad_encoding.py: unknown enc"
        in printed
    )

    rows = query(work / "warehouse.db", "SELECT file, name, line, documented FROM definitions")
    assert sorted([(file, str(name).rpartition(".")[2], line, bool(doc)) for file, name, line, doc in rows]) == expected
    counted = query(work / "warehouse.db", "SELECT file, sum(own_lines), sum(branches) FROM definitions GROUP BY file")
    assert set(counted) == {(name, covered(source), branches(source)) for name, source in GOOD.items() if source}
    assert query(work / "warehouse.db", "SELECT lines, longest_line FROM definitions WHERE file = 'crlf.py'") == [
        (4, 12),
        (3, 12),
    ]
    assert {str(file) for (file,) in query(work / "warehouse.db", "SELECT file FROM failed")} == set(BAD)
    assert names_in(work) == ["cache.json", "source.db", "warehouse.db"]


@pytest.mark.usefixtures("printed")
def test_the_database_and_the_api_are_joined_and_both_loads_agree(home: Path) -> None:
    """``json`` is the Data team's in the database and supported in the API; the other names are in neither."""
    work = home / "work"
    columns = "module, area, team, status, count(*), sum(branches), round(sum(minutes), 3)"
    rows = query(work / "warehouse.db", f"SELECT {columns} FROM definitions GROUP BY module")
    keys = ("area", "team", "status", "definitions", "branches", "minutes")
    cache = json.loads((work / "cache.json").read_text(encoding="utf-8"))
    assert cache["modules"] == {row[0]: dict(zip(keys, row[1:], strict=True)) for row in rows}
    assert {row[0]: row[1:4] for row in rows} == {
        "json": ("data", "Data", "supported"),
        **dict.fromkeys(("crlf", "latin", "plain"), ("general", "Core", "unlisted")),
    }
    [(per_line, per_branch)] = query(
        work / "source.db", "SELECT minutes_per_line, minutes_per_branch FROM areas WHERE area = 'data'"
    )
    [(lines, count)] = query(
        work / "warehouse.db", "SELECT sum(own_lines), sum(branches) FROM definitions WHERE module = 'json'"
    )
    assert cache["modules"]["json"]["minutes"] == pytest.approx(lines * per_line + count * per_branch)
    assert [(cache["run"],)] == query(work / "warehouse.db", "SELECT run FROM runs")


def test_the_standard_library_is_the_default_and_the_default_folder_is_not_for_git(tmp_path: Path) -> None:
    """Printed for a terminal that knows ASCII only."""
    names: list[str] = []
    for parent, folders, files in os.walk(STDLIB):
        folders[:] = set(folders) - {"site-packages", "dist-packages"}
        names += [Path(parent, name).relative_to(STDLIB).as_posix() for name in files if name.endswith(".py")]
    first = sorted(names)[:40]
    expected = sum(len(list(definitions((STDLIB / name).read_bytes()))) for name in first)
    assert expected > 300

    code, out, err = run(tmp_path, "etl.py", "--limit-files", 40, PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert f"{expected:,} definitions measured" in out
    assert out.isascii()
    assert "\\u" not in out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line and str(STDLIB) not in line) <= 100
    assert (tmp_path / ".hush-demo/etl/.gitignore").read_text() == "*\n"
    started = re.findall(
        r"^  (\w+) +#+ ", out.partition("What ran when")[2].partition("Its beginning")[0], re.MULTILINE
    )
    assert sorted(started[:3]) == ["extract_api", "extract_db", "extract_file"]
    assert started[3:5] == ["combine", "transform"]
    assert sorted(started[5:]) == ["load_cache", "load_warehouse", "publish"]
    assert started[-1] == "publish"


def test_a_rerun_replaces_the_results_and_a_broken_source_leaves_them(tmp_path: Path, sources: Path) -> None:
    good = ["etl.py", "--workdir", "work", "--sources", sources]
    assert run(tmp_path, *good)[0] == 0
    first = query(tmp_path / "work/warehouse.db", "SELECT * FROM definitions")
    (sources / "more.py").write_text("def more(): pass\n")
    assert run(tmp_path, *good)[0] == 0
    second = query(tmp_path / "work/warehouse.db", "SELECT * FROM definitions")
    assert len(second) == len(first) + 1
    assert {row[1:] for row in first} < {row[1:] for row in second}

    before = loaded(tmp_path / "work")
    named = {
        "db": ("extract_db", "the database at", "file is not a database"),
        "api": ("extract_api", "the API at http://127.0.0.1:", "page=3 cannot be read: HTTPError: HTTP Error 503"),
        "files": ("extract_file", "the folder of sources at", "FileNotFoundError"),
    }
    for source, (node, what, why) in named.items():
        code, out, err = run(tmp_path, *good, "--break", source)
        assert code == 1
        assert f"Failed in etl-pipeline/{node}: {what}" in err
        assert why in err
        assert "Traceback" not in err
        assert "definitions measured" not in out
        assert loaded(tmp_path / "work") == before


def test_a_broken_source_writes_nothing_to_a_new_folder(tmp_path: Path, sources: Path) -> None:
    assert run(tmp_path, "etl.py", "--workdir", "work", "--sources", sources, "--break", "files")[0] == 1
    assert names_in(tmp_path / "work") == ["source.db"]


def test_a_result_that_cannot_take_its_place_keeps_the_other_out_too(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "work/cache.json").mkdir(parents=True)
    code, _, err = run(tmp_path, "etl.py", "--workdir", "work", "--sources", sources)
    assert code == 1
    assert "Failed in etl-pipeline/publish" in err
    assert names_in(tmp_path / "work") == ["cache.json", "source.db"]


def test_ctrl_c_stops_the_run_and_its_server_and_writes_nothing(tmp_path: Path, sources: Path) -> None:
    process = start(tmp_path, "etl.py", "--workdir", "work", "--sources", sources)
    assert process.stdout is not None
    assert "http://127.0.0.1:" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # a terminal, too, sends it to all processes of the group
    code, _, err = finish(process)
    assert (code, err) == (130, "\nStopped. What an earlier run loaded stands as it was.\n")
    assert names_in(tmp_path / "work") == ["source.db"]


def test_the_server_ends_when_the_example_is_killed(tmp_path: Path, sources: Path) -> None:
    process = start(tmp_path, "etl.py", "--workdir", "work", "--sources", sources)
    assert process.stdout is not None
    assert "http://127.0.0.1:" in process.stdout.readline()
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL


@pytest.mark.parametrize(
    "arguments", [["--limit-files", "0"], ["--limit-files", "x"], ["--break", "nothing"], ["extra"]]
)
def test_wrong_options_are_refused_before_anything_is_made(tmp_path: Path, arguments: list[str]) -> None:
    code, _, err = run(tmp_path, "etl.py", *arguments)
    assert code == 2
    assert "usage:" in err
    assert not list(tmp_path.iterdir())


def test_etl_shows_itself_by_what_was_recorded_of_it(tmp_path):
    sources = make_sources(tmp_path / "sources")
    code, out, err = run(tmp_path, "etl.py", "--workdir", "work", "--sources", sources, "--show")
    assert (code, err) == (0, "")
    shown = out[out.index("Where the time went") :]
    for node in ("extract_db", "extract_api", "extract_file", "combine", "transform", "load_warehouse", "publish"):
        assert node in shown
    code, out, _ = run(tmp_path, "etl.py", "--workdir", "work", "--sources", sources, "--break", "api", "--show")
    assert code == 1
    assert "extract_api" in out
    assert "BrokenSource" in out[out.index("1 failure") :]
