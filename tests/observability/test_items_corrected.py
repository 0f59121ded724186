"""Items that turn out to lack a key when they have been told of as ended well: traces count them once."""

from __future__ import annotations

from typing import Any

import pytest

from hush.core import PARENT, CodeNode, Each, Hush, ItemFailed, MapNode, MissingKeyError
from hush.core.protocols import Wanted
from hush.testing import run_virtual
from kit.sampled_laws import Sampled, complaints_of_sums
from kit.span_laws import Terse, Watch, complaints
from kit.summing import Fixed

pytestmark = pytest.mark.usefixtures("silence")


class Plain(Fixed):
    """Wants each item, and is one of those that could do without."""

    answer = Wanted()


@pytest.mark.parametrize("kind", [Watch, Terse, Plain, Fixed], ids=lambda kind: kind.__name__)
def test_an_item_that_is_corrected_is_counted_once(kind):
    counts: list[int] = []

    class Counting(kind):
        def emit(self, event: Any, /) -> None:
            super().emit(event)
            counts.append(self.tree.record().items if self.tree.run is not None else 0)

    def one(x: int) -> dict[str, int]:
        return dict.fromkeys("yz" if x == 2 else "z", x)

    with MapNode(name="m", inputs={"x": Each([0, 1, 2])}) as root:
        CodeNode(name="n", code_fn=one, inputs={"x": PARENT["x"]}, outputs={"*": PARENT}, executor="inline")
    watch = Counting()
    run_virtual(lambda: Hush(root).run(tracer=watch))
    assert [event.corrects for event in watch.events if isinstance(event, ItemFailed)] == [True, True]
    record = watch.tree.record()
    assert (record.items, record.items_failed, max(counts)) == (3, 2, 3)
    [whole] = [span for span in watch.spans if span.kind == "map"]
    assert (whole.done, whole.failed) == (3, 2)
    laws = complaints_of_sums(watch, choice=False) if issubclass(kind, Sampled) else complaints(watch)
    assert not [*laws]
    failures = [
        span.failure.type.rpartition(".")[2] for span in watch.spans if span.kind == "item" and span.status == "failed"
    ]
    assert failures == [MissingKeyError.__name__] * 2
