"""Processes that are forked from one that reads Zarr: told so at once, not aborted by tensorstore."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from range_server import RangeServer

if TYPE_CHECKING:
    from pathlib import Path

if not hasattr(os, "fork"):
    pytest.skip("nothing is forked on this system", allow_module_level=True)

_PROGRAM = """
import multiprocessing, os, sys
from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError

def read(what, say):
    try:
        say(str(int(what().plane(t=1).sum())))
    except DatasetError as error:
        say(f"{type(error).__name__}: {error}")

path, when = sys.argv[1:]
dataset = open_dataset(path) if when != "before" else None
if when == "read":
    print("before", dataset.plane().sum(), flush=True)

def opened_again():
    return open_dataset(path)

def isolated():
    return open_dataset(path, isolate=True)

for who, what in (("same", lambda: dataset), ("again", opened_again), ("isolated", isolated)):
    if who == "same" and when == "before":
        continue
    child = os.fork()
    if not child:
        read(what, lambda said: print(who, said, flush=True))
        sys.exit(0)  # as a program ends, with all that Python tidies up
    assert os.waitpid(child, 0)[1] == 0, who

ours, theirs = multiprocessing.Pipe(duplex=False)
worker = multiprocessing.get_context("fork").Process(target=read, args=(opened_again, theirs.send))
worker.start()
print("multiprocessing", ours.recv(), flush=True)
worker.join()
assert worker.exitcode == 0

with dataset or open_dataset(path) as dataset:
    print("parent", dataset.plane(t=1).sum(), flush=True)
"""


@pytest.mark.parametrize("when", ["before", "opened", "read"])
@pytest.mark.parametrize("where", ["local", "sharded", "remote"])
def test_a_forked_process_reads_or_is_told_at_once_and_its_parent_reads_on(
    tmp_path: Path, where: str, when: str
) -> None:
    if where == "remote":
        pytest.importorskip("obstore")
    sizes = {"y": 800, "x": 800}
    stores.write_image(tmp_path / "i.zarr", sizes=sizes, tile=400, shard_channels=where == "sharded")
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "kept"), "HOME": str(tmp_path / "kept")}
    with RangeServer(tmp_path) as server:
        path = server.url("i.zarr") if where == "remote" else str(tmp_path / "i.zarr")
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM, path, when],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    said = dict(line.partition(" ")[::2] for line in ended.stdout.splitlines())
    right = str(int(np.sum(stores.plane(t=1, shape=(800, 800)), dtype=np.int64)))
    assert said["parent"] == said["isolated"] == right
    for child in ("same", "again", "multiprocessing"):
        if child in said:
            assert said[child] == right or "this process was forked" in said[child], said[child]
    if when == "before":
        assert said["again"] == said["multiprocessing"] == right


_HOST = """
import os, sys
import tensorstore as ts

path, uses, imports = sys.argv[1:]
if imports == "before":
    import ndviewer_light.sources.zarr.source
if uses == "used":
    spec = {"driver": "zarr", "kvstore": {"driver": "memory"}, "metadata": {"shape": [4], "dtype": "<u2"}}
    ts.open(spec, create=True).result()
child = os.fork()
if child:
    sys.exit(os.waitpid(child, 0)[1])
from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError
try:
    with open_dataset(path) as dataset:
        print(dataset.plane(t=1).sum())
except DatasetError as error:
    print(error)
"""


@pytest.mark.parametrize("imports", ["before", "after"])
@pytest.mark.parametrize("uses", ["used", "imported"])
def test_a_process_forked_from_a_host_that_used_tensorstore_itself_is_told_so(
    tmp_path: Path, uses: str, imports: str
) -> None:
    stores.write_image(tmp_path / "i.zarr")
    command = [sys.executable, "-c", _HOST, str(tmp_path / "i.zarr"), uses, imports]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    if uses == "used":
        assert "this process was forked" in ended.stdout
    else:
        assert int(ended.stdout) == stores.plane(t=1).sum()
