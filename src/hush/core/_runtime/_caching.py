"""The outermost policy of a leaf: what its function gave for the same inputs before is given again.

A call goes through four steps: its key, then what is kept under that key, then an identical call that is under way on
this loop, of a leaf that is tried, admitted and timed in the same way, and only then the function. Only a leaf that has
``cache=`` loads what does this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hush.core._spec._model import CallSpec
from hush.core._spec._policies import Limit

if TYPE_CHECKING:
    from hush.core._runtime._calls import Try


def cached(cache: str, limits: Sequence[Limit], spec: CallSpec, call: Try, served_by: Sequence[str] = ()) -> Try:
    """``call``, made only where neither ``cache`` nor an identical call under way has what it gives.

    ``limits`` are those that ``call`` is admitted by, ``served_by`` the identities of the resources that may serve it.
    """
    from hush.core._runtime._cached_call import CachedCall

    return CachedCall(cache, limits, spec, call, served_by).outputs
