"""A branch that chooses what runs, a join after it, and a loop that improves a value until it is good enough.

python examples/branches_and_loops.py
"""

from __future__ import annotations

from hush.core import END, PARENT, START, BranchNode, CodeNode, GraphNode, Hush, WhileLoopNode


def halve_the_error(guess: float, square: float) -> dict[str, float]:
    """One step of Newton's method for a square root."""
    better = (guess + square / guess) / 2
    return {"guess": better, "error": abs(better * better - square)}


with GraphNode(name="roots") as graph:
    sign = BranchNode(
        name="sign",
        cases={"number < 0": "refuse", "number == 0": "zero"},
        default="newton",
        inputs={"number": PARENT["number"]},
    )
    refuse = CodeNode(name="refuse", code_fn=lambda: {"root": "none"}, outputs=PARENT)
    zero = CodeNode(name="zero", code_fn=lambda: {"root": "0"}, outputs=PARENT)
    with WhileLoopNode(
        name="newton",
        inputs={"guess": PARENT["number"], "square": PARENT["number"], "off": 1.0},
        stop_condition="off < 0.000001",
        max_iterations=60,
    ) as newton:
        step = CodeNode(name="step", code_fn=halve_the_error, inputs={"*": PARENT}, outputs={"guess": PARENT})
        step["error"] >> PARENT["off"]
        START >> step >> END
    newton["guess"].apply("{:.3f}".format) >> PARENT["root"]
    join = CodeNode(
        name="join",
        code_fn=lambda number, root, way: {"said": f"the root of {number:g}: {root} ({way})"},
        inputs={"number": PARENT["number"], "root": PARENT["root"], "way": sign["matched"]},
        outputs=PARENT,
    )
    START >> sign
    [refuse, zero, newton] >> join >> END

if __name__ == "__main__":
    engine = Hush(graph)
    engine.show()
    for number in (2.0, 0.0, -4.0, 144.0):
        result = engine.run_sync(inputs={"number": number}, keep=True)
        rounds = result.nodes["newton"]["iteration_metrics"]["total_iterations"] if "newton" in result.nodes else 0
        print(f"{result['said']}, {rounds} rounds")
