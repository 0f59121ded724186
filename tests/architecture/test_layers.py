"""The rules of the house hold in `src`, and each of them catches what breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture import house

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def hush() -> house.Tree:
    return house.read(SRC)


@pytest.fixture
def plant(tmp_path):
    """Write a source tree of `{"core/_spec/_model.py": text}` and read it; docstrings and packages are added."""

    def write(files: dict[str, str], *, bare: bool = False) -> house.Tree:
        for name, text in files.items():
            path = tmp_path / "hush" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text if bare else f'"""Planted."""\n{text}\n', encoding="utf-8")
            for folder in path.relative_to(tmp_path).parents:
                package = tmp_path / folder / "__init__.py"
                if folder != Path() and not package.exists():
                    package.write_text('"""A package."""\n', encoding="utf-8")
        return house.read(tmp_path)

    return write


# ── The house as it stands ───────────────────────────────────────────────────────────────────────────────────────────

RULES = (
    house.upward_imports,
    house.facade_imports,
    house.relative_imports,
    house.foreign_imports,
    house.cycles,
    house.long_files,
    house.drawers,
    house.undescribed,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule, hush):
    assert rule(hush) == []


def test_the_house_was_read(hush):
    """A rule that reads nothing holds for ever."""
    assert {"hush", "hush.core", "hush.core.errors", "hush.core.events"} <= hush.keys()
    assert any(house.target_of(found, hush) == "hush.core.errors" for m in hush.values() for found in m.imports)


def test_no_unit_stands_in_two_layers():
    units = [unit for layer in house.LAYERS for unit in layer]
    assert len(units) == len(set(units))


# ── Layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("core/errors.py", "from hush.core.events import RunStarted"),
        ("core/_spec/_model.py", "from hush.core.nodes._graph import GraphNode"),
        ("core/_spec/_model.py", "import hush.core._plan._model"),
        ("core/nodes/_handle.py", "from hush.core._engine import Hush"),
        ("core/_runtime/_frame.py", "from hush.core import extend"),
        ("core/_engine.py", "from hush.providers import LLMNode"),
        ("core/_plan/_model.py", "def f():\n    from hush.core._runtime import _frame"),
        ("core/_expr/_ref.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hush.core._spec"),
        ("observability/otel.py", "from hush.cli import main"),
    ],
)
def test_an_import_that_goes_up_is_found(plant, importer, line):
    files = {
        "core/events.py": "",
        "core/_spec/_model.py": "",
        "core/nodes/_graph.py": "",
        "core/_plan/_model.py": "",
        "core/_runtime/_frame.py": "",
        "core/_engine.py": "",
        "core/extend.py": "",
        "providers/__init__.py": "",
        "cli/__init__.py": "",
    }
    assert house.upward_imports(plant(files)) == []
    (wrong,) = house.upward_imports(plant({importer: line}))
    assert "which is above it" in wrong


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("core/nodes/_map.py", "from hush.core._plan._model import Plan"),
        ("core/_plan/_compile.py", "from hush.core.nodes import GraphNode"),
        ("providers/llm.py", "from hush.observability import LocalTracer"),
    ],
)
def test_an_import_of_a_stranger_is_found(plant, importer, line):
    files = {"core/_plan/_model.py": "", "core/nodes/__init__.py": "", "observability/__init__.py": "", importer: line}
    (wrong,) = house.upward_imports(plant(files))
    assert "a stranger" in wrong


@pytest.mark.parametrize(
    "line",
    [
        "from hush.core._spec._model import CallSpec",
        "from hush.core import _engine",
        "from hush.core.extend import _secret",
        "import hush.core._runtime",
    ],
)
@pytest.mark.parametrize("importer", ["providers/llm.py", "testing/_record.py"])
def test_a_private_name_of_core_taken_from_outside_is_found(plant, importer, line):
    files = {"core/_spec/_model.py": "", "core/extend.py": "", "core/_engine.py": "", "core/_runtime/__init__.py": ""}
    (wrong,) = house.upward_imports(plant({**files, importer: line}))
    assert "private to hush.core" in wrong


def test_a_module_outside_the_table_is_found(plant):
    (wrong,) = house.upward_imports(plant({"core/_drawer.py": ""}))
    assert wrong.startswith("hush.core._drawer:")


def test_what_the_table_allows_is_no_violation(plant):
    tree = plant(
        {
            "core/__init__.py": "from hush.core._engine import Hush\nfrom hush.core.nodes import GraphNode",
            "core/errors.py": "",
            "core/events.py": "from hush.core._result import Result",
            "core/_result.py": "from hush.core.errors import HushError",
            "core/_spec/_model.py": "from hush.core._spec import _validate",
            "core/_spec/_validate.py": "import hush.core.errors",
            "core/nodes/__init__.py": "from hush.core.nodes._graph import GraphNode",
            "core/nodes/_graph.py": "from hush.core._spec._model import GraphSpec",
            "core/_engine.py": "from hush.core.nodes import GraphNode\nfrom hush.core.extend import leaf",
            "core/extend.py": "from hush.core.nodes import GraphNode",
            "providers/llm.py": "from hush.core import GraphNode\nfrom hush.core.extend import leaf",
            "testing/_record.py": "from hush.core.events import RunStarted\nfrom hush.testing._loop import VirtualLoop",
            "testing/_loop.py": "",
            "cli/__init__.py": "from hush.core._runtime._frame import Frame",
            "core/_runtime/_frame.py": "",
        }
    )
    assert [wrong for rule in RULES for wrong in rule(tree)] == []


# ── Façades, forms and cycles ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("core/_spec/_validate.py", "from hush.core._spec import CallSpec"),
        ("core/nodes/iteration/_map.py", "from hush.core.nodes import GraphNode"),
        ("core/_engine.py", "from hush.core import GraphNode"),
        ("core/_engine.py", "def f():\n    import hush.core"),
        ("core/nodes/__init__.py", "from hush.core import GraphNode"),
        ("core/errors.py", "from hush import __version__"),
    ],
)
def test_an_import_from_its_own_facade_is_found(plant, importer, line):
    (wrong,) = house.facade_imports(plant({"core/_spec/_model.py": "", importer: line}))
    assert "its own façade" in wrong


def test_a_relative_import_is_found(plant):
    tree = plant({"core/_spec/_model.py": "from . import _validate\nfrom ..errors import HushError"})
    assert len(house.relative_imports(tree)) == 2


def test_a_third_party_import_in_core_is_found_unless_it_waits(plant):
    tree = plant(
        {
            "core/_spec/_model.py": "import pydantic\nimport dataclasses",
            "core/_plan/_model.py": "def f():\n    import pydantic",
            "providers/llm.py": "import openai",
        }
    )
    (wrong,) = house.foreign_imports(tree)
    assert wrong.startswith("hush.core._spec._model:2: imports pydantic")


@pytest.mark.parametrize(
    "closing",
    [
        "from hush.core._spec._a import A",
        "import hush.core._spec._a",
        "from hush.core._spec import _a",
        "def f():\n    from hush.core._spec._a import A",
        "import typing\nif typing.TYPE_CHECKING:\n    from hush.core._spec._a import A",
    ],
)
def test_a_ring_of_imports_is_found(plant, closing):
    tree = plant(
        {
            "core/_spec/_a.py": "from hush.core._spec._b import B",
            "core/_spec/_b.py": "from hush.core._spec._c import C",
            "core/_spec/_c.py": closing,
            "core/_spec/_d.py": "from hush.core._spec._a import A",
        }
    )
    assert house.cycles(tree) == ["these import each other: hush.core._spec._a, hush.core._spec._b, hush.core._spec._c"]


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_over_500_lines_is_found(plant):
    quiet = {f"core/_spec/_{n}.py": "" for n in range(9)}
    assert house.long_files(plant({**quiet, "core/_spec/_long.py": "pass\n" * 498})) == []
    (wrong,) = house.long_files(plant({"core/_spec/_long.py": "pass\n" * 499}))
    assert wrong == "hush.core._spec._long: 501 lines, over 500"


def test_a_quarter_of_files_over_300_lines_is_found(plant):
    """A tree of eight files, three of them packages: one large file is fewer than a quarter, two are a quarter."""
    quiet = {f"core/_spec/_{n}.py": "" for n in range(3)}
    assert house.long_files(plant({**quiet, "core/_spec/_x.py": "pass\n" * 310, "core/_spec/_y.py": ""})) == []
    (wrong,) = house.long_files(plant({"core/_spec/_y.py": "pass\n" * 310}))
    assert wrong.endswith("hush.core._spec._x, hush.core._spec._y")


@pytest.mark.parametrize("name", ["utils", "_util", "_graph_helpers", "manager", "_handler", "helper_functions"])
def test_a_module_named_after_no_subject_is_found(plant, name):
    assert len(house.drawers(plant({f"core/_spec/{name}.py": "", "core/_spec/_handle.py": ""}))) == 1


@pytest.mark.parametrize("text", ["", "x = 1\n", "# A comment.\n", '""" """\n'])
def test_a_module_without_a_docstring_is_found(plant, text):
    assert house.undescribed(plant({"core/_spec/_model.py": text}, bare=True)) == [
        "hush.core._spec._model: no docstring"
    ]
