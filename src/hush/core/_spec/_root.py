"""Any step as the root of a run: a graph as it is, anything else in a graph made around it."""

from __future__ import annotations

from hush.core._expr._model import Const, Expr, Read, reads, rebase
from hush.core._expr._record import replace
from hush.core._spec._model import EVERYTHING, Fault, GraphSpec, MapSpec, Source, Step, Write
from hush.core._spec._reads import own_inputs

NONE: frozenset[str] = frozenset()
_RUN = Source(0, None)


def as_root(step: Step) -> GraphSpec:
    """``step`` as a root. One that is no graph gives all its outputs, its ``error`` too; ``PARENT`` is the run.

    Its literals are what a run need not bring, as those of a graph are. What it reads of nodes around it is a fault.
    """
    if isinstance(step, GraphSpec):
        return step
    faults: list[Fault] = []

    def outside(read: Read) -> Expr:
        if read.source.step is None:
            return read
        faults.append(
            Fault(
                f"{step.name} reads {read.source.step}, a node of the graph around it",
                "It runs inside that graph only; to run it alone, let its inputs read PARENT: the inputs of the run.",
                read.where,
            )
        )
        return Const(None)

    taken = {read.key for _, expr in own_inputs(step) for read in reads(expr)}
    literals = tuple([(name, expr) for name, expr in step.inputs if isinstance(expr, Const) and name not in taken])
    free = {name for name, _ in literals}
    inputs = tuple(
        [(name, Read(_RUN, name, step.where) if name in free else rebase(expr, outside)) for name, expr in step.inputs]
    )
    writes = (Write(EVERYTHING, None, step.where),)
    inner: Step
    if isinstance(step, MapSpec):
        missing = len(faults)
        each = tuple([one._replace(source=rebase(one.source, outside)) for one in step.each])
        if len(faults) > missing:  # that the stand-in cannot be gone through is not told besides
            each = tuple([one._replace(source=Const(())) for one in each])
        inner = replace(step, inputs=inputs, each=each, writes=writes, faults=(*step.faults, *faults))
    else:
        inner = replace(step, inputs=inputs, writes=writes, faults=(*step.faults, *faults))
    return around(inner, literals)


def around(step: Step, inputs: tuple[tuple[str, Expr], ...] = ()) -> GraphSpec:
    """A graph whose only step is ``step``."""
    return GraphSpec(
        name=step.name,
        kind="graph",
        inputs=inputs,
        starred=NONE,
        writes=(),
        on_error=None,
        timeout_s=None,
        where=step.where,
        faults=(),
        steps=(step,),
        edges=(),
        starts=None,
        wraps=True,
    )
