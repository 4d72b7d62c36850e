"""Writers of other programs, each in a process of its own: what a viewer has to follow while it grows.

``python -m tests.live_writers WRITER PATH --planes N --rate HZ`` writes planes with stamps (`tests.stamps`),
and says on standard output when each was written. `registry` lists the writers.
"""
