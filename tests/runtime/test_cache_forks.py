"""A cache in a file in a process that forks: no row is lost, whoever closes the file, and whoever forks when."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from hush.core import CacheError
from hush.core._cache._file import FileStore

SRC = Path(__file__).parents[2] / "src"
BEGINNING = f"""
import os, sys, threading
sys.path.insert(0, {str(SRC)!r})
from hush.core._cache._stores import store_of
store = store_of(sys.argv[1])

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def ran(program: str, path: Path) -> set[bytes]:
    """The keys in the file after the program, which is a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEGINNING + dedent(program), str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {key for (key,) in connection.execute("SELECT key FROM answers")}


def test_a_forked_process_opens_the_file_anew(tmp_path):
    assert ran(
        """
        store.put(b"a", b"1", "f")
        child = os.fork()
        if not child:
            store.put(b"b", b"2", "f")
            assert store.get(b"a") == b"1"
            os._exit(0)
        assert ended(child) == 0
        assert (store.get(b"a"), store.get(b"b")) == (b"1", b"2")
        """,
        tmp_path / "a.db",
    ) == {b"a", b"b"}


def test_what_a_child_writes_stays_when_the_parent_closes_the_file(tmp_path):
    assert ran(
        """
        (wrote, told), (closed, tell) = os.pipe(), os.pipe()
        store.put(b"a", b"1", "f")
        child = os.fork()
        if not child:
            store.put(b"b", b"2", "f")
            os.write(told, b".")
            os.read(closed, 1)
            store.put(b"c", b"3", "f")
            os._exit(0)
        os.read(wrote, 1)
        store.close()
        os.write(tell, b".")
        assert ended(child) == 0
        """,
        tmp_path / "a.db",
    ) == {b"a", b"b", b"c"}


def test_what_the_parent_writes_stays_when_a_child_closes_the_file(tmp_path):
    assert ran(
        """
        (done, told) = os.pipe()
        store.put(b"a", b"1", "f")
        child = os.fork()
        if not child:
            store.put(b"b", b"2", "f")
            store.close()
            os.write(told, b".")
            os._exit(0)
        store.put(b"c", b"3", "f")
        os.read(done, 1)
        store.put(b"d", b"4", "f")
        assert ended(child) == 0
        """,
        tmp_path / "a.db",
    ) == {b"a", b"b", b"c", b"d"}


def test_children_and_their_parent_write_and_close_side_by_side(tmp_path):
    found = ran(
        """
        def write(who):
            for number in range(40):
                store.put(b"%d-%d" % (who, number), b"x" * 500, "f")
                if number % 10 == 0:
                    store.close()

        store.put(b"a", b"1", "f")
        children = []
        for who in range(4):
            child = os.fork()
            if not child:
                try:
                    write(who)
                except BaseException as exc:
                    print(repr(exc), file=sys.stderr)
                    os._exit(1)
                os._exit(0)
            children.append(child)
        write(4)
        assert [ended(child) for child in children] == [0] * 4
        """,
        tmp_path / "a.db",
    )
    assert found == {b"a", *(b"%d-%d" % (who, number) for who in range(5) for number in range(40))}


def test_threads_fork_at_once_while_others_write(tmp_path):
    found = ran(
        """
        codes = []

        def fork(who):
            for number in range(5):
                child = os.fork()
                if not child:
                    store.put(b"child %d-%d" % (who, number), b"x", "f")
                    os._exit(0)
                codes.append(ended(child))

        def write(who):
            for number in range(30):
                store.put(b"%d-%d" % (who, number), b"x", "f")

        threads = [threading.Thread(target=act, args=(who,)) for act in (fork, write) for who in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [0] * 15, codes
        """,
        tmp_path / "a.db",
    )
    forked = {b"child %d-%d" % (who, number) for who in range(3) for number in range(5)}
    assert found == forked | {b"%d-%d" % (who, number) for who in range(3) for number in range(30)}


def test_a_file_that_could_not_be_closed_before_a_fork_is_not_used_in_the_child(tmp_path):
    store = FileStore(str(tmp_path / "a.db"))
    store.put(b"a", b"1", "f")
    with store._lock:  # as by a thread that waits for another process
        assert not store.before_fork(wait_s=0)
    assert store.get(b"a") == b"1"  # the parent goes on
    store.close()
    store.forked(closed=False)  # as in the child
    for use in (lambda: store.get(b"a"), lambda: store.put(b"b", b"2", "f")):
        with pytest.raises(CacheError, match="was forked while another thread"):
            use()
