"""On which arms of which branches a node lies: what must have been chosen if it runs."""

from __future__ import annotations

from collections.abc import Iterable

# For each branch that decides over the node, the targets one of which it must have chosen.
Arms = dict[str, frozenset[str]]


def either(options: Iterable[Arms]) -> Arms:
    """The node runs if one of these does: what is known is what all of them say."""
    first, *rest = options
    known = dict(first)
    for each in rest:
        known = {branch: known[branch] | each[branch] for branch in known.keys() & each.keys()}
    return known


def both(needs: Iterable[Arms]) -> Arms:
    """The node runs if all of these do. A branch with no target left: never."""
    known: Arms = {}
    for each in needs:
        for branch, targets in each.items():
            known[branch] = known.get(branch, targets) & targets
    return known


def is_possible(arms: Arms) -> bool:
    """Whether a node on these arms can run at all."""
    return all(arms.values())


def exclude(one: Arms, other: Arms) -> bool:
    """Whether some branch can choose the one's way or the other's, never both."""
    return not is_possible(both([one, other]))
