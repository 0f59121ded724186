"""Results and errors go to another process and back as what they are: a pool whose worker cannot send them hangs."""

from __future__ import annotations

import copy
import pickle

import pytest

from hush.core import PARENT, BranchNode, CodeNode, Each, GraphNode, MapNode, Tolerate, WhileLoopNode, errors
from kit.faults import Boom
from runtime.from_design.authored import const, error_of, result_of


def there_and_back(value):
    return pickle.loads(pickle.dumps(value))


def mapped(fn, outputs=PARENT, **options):
    with MapNode(name="m", inputs={"x": Each(PARENT["xs"])}, **options) as over:
        CodeNode(name="n", code_fn=fn, inputs={"x": PARENT["x"]}, outputs=outputs)
    return over


def fail(x):
    raise Boom(x)


def unmatched():
    with GraphNode(name="g") as graph:
        BranchNode(name="r", cases={"x > 1": "a"}, inputs={"x": PARENT["xs"]})
        const("a")
    return graph


def unending():
    with GraphNode(name="g") as graph:
        with WhileLoopNode(name="w", inputs={"n": PARENT["xs"]}, stop_condition="n == 1", max_iterations=2):
            CodeNode(name="n", code_fn=lambda n: {"n": n}, inputs={"n": PARENT["n"]}, outputs=PARENT)
    return graph


def raised(kind, do):
    with pytest.raises(kind) as caught:
        do()
    return caught.value


RAISED = {
    "the user's own": lambda: error_of(mapped(fail, on_error="raise"), {"xs": [1]}),
    "TooManyFailures": lambda: error_of(mapped(fail, on_error=Tolerate(count=1)), {"xs": [1, 2, 3]}),
    "NoCaseMatched": lambda: error_of(unmatched(), {"xs": 0}),
    "TooManyIterations": lambda: error_of(unending(), {"xs": 0}),
    "InputError": lambda: raised(errors.InputError, lambda: result_of(unmatched())),
    "MissingKeyError": lambda: raised(KeyError, lambda: result_of(unmatched(), {"xs": 2})["k"]),
    "GraphError": lambda: raised(errors.GraphError, lambda: result_of(GraphNode(name="empty"))),
    "ReportedError": lambda: result_of(mapped(lambda x: {"error": "odd"}, {"error": PARENT}), {"xs": [1]}).errors[0],
}


@pytest.mark.parametrize("send", [there_and_back, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("which", RAISED)
def test_an_error_arrives_as_what_it_is(which, send):
    error = RAISED[which]()
    found = send(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.__dict__.keys() == error.__dict__.keys()
    if hasattr(error, "hush"):
        assert (found.hush.path, found.hush.item) == (error.hush.path, error.hush.item)


@pytest.mark.parametrize("send", [there_and_back, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("keep", [False, True])
def test_a_result_arrives_with_all_that_it_knows(send, keep):
    result = result_of(mapped(lambda x: {"y": 4 // x}), {"xs": [1, 0]}, keep=keep, user_id="u")
    found = send(result)
    assert type(found) is type(result)
    assert found["y"] == [4, None]
    assert (found.request_id, found.user_id, found.status) == (result.request_id, "u", "partial")
    assert [str(error) for error in found.errors] == [str(error) for error in result.errors]
    if keep:
        assert found.nodes["m"]["y"] == [4, None]
