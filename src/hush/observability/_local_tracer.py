"""``LocalTracer``: every run in a SQLite file, without a server and without a key."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from hush.observability._exporter import Exporter
from hush.observability._local._place import traces_file
from hush.observability._sampling import USUAL, Sampling
from hush.observability._tracer import SpanTracer


class LocalTracer(SpanTracer):
    """Keeps every run in a SQLite file, which ``hush show`` and ``TraceStore`` read while it is written.

    All tracers of one file in a process share one thread that writes it, and any number of processes may write one
    file. A run begins there as soon as it starts, and what is under way is added as it goes, so that a process that was
    killed leaves what it was at.

    Args:
        path: The file; without it ``HUSH_TRACES_DB``, else ``~/.hush/traces.db``. It is made, with its folder, for its
            owner alone, when there is first something to write.
        keep_values: ``None`` for previews of what nodes read and gave, ``True`` for all of it, ``False`` for nothing
            but what messages of errors quote. Secrets are removed in any case.
        tags: Added to those of each run.
        sampling: Which items of large maps become spans: all that failed, the first thousand, the slowest percent, and
            one in a hundred of the others, unless it says otherwise.
        max_pending: How many spans may be in memory. Before there are so many, items that ended well are left out;
            what comes then is dropped and counted, except that as many again of what failed may wait.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        keep_values: bool | None = None,
        tags: Sequence[str] = (),
        sampling: Sampling = USUAL,
        max_pending: int = 40_000,
    ) -> None:
        file = self.path = traces_file(path, type(self).__name__)

        # Here, and not in the thread that uses it: beside a busy loop each file that is imported there waits its turn.
        from hush.observability._local._writer import LocalWriter

        def make() -> Exporter:
            return LocalWriter(file)

        super().__init__(
            make,
            key=("local", file),
            keep_values=keep_values,
            tags=tags,
            sampling=sampling,
            max_pending=max_pending,
        )
