"""Which graph ``FILE[:graph]`` means."""

from __future__ import annotations

import pytest

from kit.command import hush

TWO = """
    from hush.core import *

    def one():
        return {"y": 1}

    with GraphNode(name="first") as a:
        CodeNode(name="n", code_fn=one, outputs=PARENT)
    with GraphNode(name="second") as b:
        CodeNode(name="n", code_fn=lambda: {"y": 2}, outputs=PARENT)
        with MapNode(name="inner", inputs={"x": Each([1])}) as inner:
            CodeNode(name="m", code_fn=dict)
"""
MADE = """
    from hush.core import Hush, GraphNode, CodeNode, PARENT

    def make_it(y: int = 3) -> GraphNode:
        with GraphNode(name="made") as graph:
            CodeNode(name="n", code_fn=lambda: {"y": y}, outputs=PARENT)
        return graph

    def other(n):
        raise AssertionError("not to be called")

    def text() -> str:
        raise AssertionError("not to be called")
"""


def test_of_several_one_must_be_named(write):
    write(text=TWO)
    ran = hush("run", "graph.py")
    assert ran.code == 2
    assert ran.err == (
        "hush: graph.py has several graphs; name one.\nIt has:\n    graph.py:a  (first)\n    graph.py:b  (second)\n"
    )
    assert hush("run", "graph.py:a").data == {"y": 1}
    assert hush("run", "graph.py:b").data == {"y": 2}


def test_a_wrong_name_is_told_with_what_there_is(write):
    write(text=TWO.replace("as a:", "as orders:"))
    ran = hush("check", "graph.py:ordrs")
    assert ran.code == 2
    assert "graph.py has no ordrs. Did you mean orders?" in ran.err
    assert "graph.py:orders" in ran.err
    assert "is no graph; it is of the type dict" in hush("check", "graph.py:one").err


def test_a_function_without_arguments_may_make_it(write):
    write(text=MADE)
    assert hush("run", "graph.py").data == {"y": 3}
    assert hush("run", "graph.py:make_it").data == {"y": 3}
    assert "takes arguments" in hush("run", "graph.py:other").err


def test_a_node_that_is_named_does_not_run(write):
    """It can be called without arguments as well."""
    write(
        text="""
        from hush.core import *

        def wipe():
            raise AssertionError("not to be called")

        with GraphNode(name="g") as graph:
            node = CodeNode(name="wipe", code_fn=wipe)
        """
    )
    ran = hush("check", "graph.py:node")
    assert ran.code == 2
    assert ran.err == (
        "hush: graph.py:node is no graph; it is of the type CodeNode.\nIt has:\n    graph.py:graph  (g)\n"
    )


def test_an_async_function_makes_no_graph(write, recwarn):
    write(text=MADE.replace("def make_it", "async def make_it"))
    for target in ("graph.py", "graph.py:make_it"):
        ran = hush("check", target)
        assert ran.code == 2
        assert ran.err == "hush: graph.py:make_it is async, and nothing awaits it here: a plain def may make a graph.\n"
    assert not recwarn


def test_an_engine_stands_for_its_graph(write):
    write(text=TWO.partition('    with GraphNode(name="second")')[0] + "\n    engine = Hush(a, limits={})\n")
    assert hush("run", "graph.py").data == {"y": 1}
    ran = hush("run", "graph.py", "--resources", "r.yaml")
    assert ran.data == {"y": 1}
    assert "--resources is not used" in ran.err
    assert hush("check", "graph.py").out == "graph.py:engine: no problems\n"


def test_a_map_or_loop_may_be_the_root(write):
    write(
        text="""
        from hush.core import *

        with MapNode(name="m", inputs={"n": Each(PARENT["ns"])}) as m:
            CodeNode(name="n", code_fn=lambda n: {"y": n}, inputs={"n": PARENT["n"]}, outputs=PARENT)
        """
    )
    ran = hush("run", "graph.py", "-i", "ns=[1, 2]")
    assert ran.code == 0
    assert ran.data["y"] == [1, 2]


def test_a_module_is_found_from_the_working_folder(write):
    write("shop/__init__.py", "")
    write("shop/parts.py", "def two(): return {'y': 2}")
    graph = """
        from hush.core import *
        from .parts import two
        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=two, outputs=PARENT)
    """
    write("shop/flow.py", graph)
    assert hush("run", "shop.flow").data == {"y": 2}
    assert hush("run", "shop.flow:graph").data == {"y": 2}
    assert hush("run", "shop/flow.py").data == {"y": 2}
    ran = hush("run", "shop.flwo")
    assert (ran.code, ran.err) == (2, "hush: shop.flwo is neither a file nor a module: there is no shop.flwo\n")


def test_a_file_may_import_from_its_folder_and_be_called_like_a_module_of_python(write):
    write("deep/more.py", "NUMBER = 5")
    write(
        "deep/json.py",
        """
        from hush.core import *
        from more import NUMBER
        with GraphNode(name="g") as graph:
            CodeNode(name="n", code_fn=lambda: {"y": NUMBER}, outputs=PARENT)
        """,
    )
    assert hush("run", "deep/json.py").data == {"y": 5}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("gone.py", "hush: gone.py is not there\n"),
        ("grph.py", "hush: grph.py is not there. Did you mean graph.py?\n"),
        (".", "hush: . is a folder: name a file in it, such as ./graph.py\n"),
        ("no.such.module", "hush: no.such.module is neither a file nor a module: there is no no\n"),
    ],
)
def test_what_is_not_there_is_told(write, target, said):
    write()
    assert hush("run", target) == (2, "", said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_such", "ModuleNotFoundError: No module named 'nothing_such'"),
        ("def f(:\n    pass", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("1 / 0", 'graph.py", line 1, in <module>'),
    ],
)
@pytest.mark.parametrize("command", ["run", "check", "graph"])
def test_a_file_that_cannot_be_loaded_shows_its_own_traceback(write, command, text, said):
    write(text=text)
    ran = hush(command, "graph.py")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("hush: graph.py cannot be loaded\n\n")
    assert said in ran.err
    assert "importlib" not in ran.err
    assert "hush/cli" not in ran.err


def test_a_file_without_a_graph_says_what_it_needs(write):
    write(text="x = 1")
    assert "graph.py has no graph: it needs a GraphNode" in hush("run", "graph.py").err
