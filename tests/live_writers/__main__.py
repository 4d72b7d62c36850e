"""``python -m tests.live_writers WRITER PATH``: write a run, and say when each plane was written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .plan import write_run
from .registry import WRITERS

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.live_writers", description=__doc__)
    parser.add_argument("writer", choices=sorted(WRITERS))
    parser.add_argument("path", type=Path)
    parser.add_argument("--planes", type=int, default=12)
    parser.add_argument("--rate", type=float, default=0.0, help="planes/s; as fast as it can without")
    parser.add_argument("--size", type=int, default=192, help="rows and columns of a plane")
    parser.add_argument("--run", type=int, default=0, help="number of the run, burnt in as well")
    parser.add_argument("--resume", action="store_true", help="go on with what is there")
    parser.add_argument("--from", type=int, metavar="N", dest="first", help="resume with this plane, from 0")
    parser.add_argument("--die-after", type=int, metavar="N", help="be killed after so many planes")
    parser.add_argument("--die-within", type=int, metavar="N", help="be killed within this plane, from 0")
    parser.add_argument("--pause-after", type=int, metavar="N", help="then wait for a line on standard input")
    options = parser.parse_args(arguments)
    entry = WRITERS[options.writer]
    plan = entry.plan(
        options.planes,
        height=options.size,
        width=options.size,
        rate=options.rate,
        run=options.run,
        resume=options.resume or options.first is not None,
        first=options.first,
        die_after=options.die_after,
        pause_after=options.pause_after,
    )
    if plan.resume and not entry.resumes:
        parser.error(f"{options.writer} cannot resume")
    before = None
    if options.die_within is not None:
        from .death import death_within  # here, as not every system has such limits

        before = death_within(entry, options.path, plan, options.die_within)
    write_run(entry.make(options.path, plan), before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
