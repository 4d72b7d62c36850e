"""Processes that are forked from one that reads from servers: told so at once, and the parent reads on."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.hdf5_files import GZIP, volume, write
from tests.range_server import RangeServer

pytest.importorskip("obstore")
if not hasattr(os, "fork"):
    pytest.skip("nothing is forked on this system", allow_module_level=True)

_PROGRAM = """
import multiprocessing, os, sys
from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError

def read(what, say):
    try:
        say(str(int(what().plane(z=1).sum())))
    except DatasetError as error:
        say(f"{type(error).__name__}: {error}")

url, when = sys.argv[1:]
dataset = open_dataset(url) if when == "after" else None
if dataset is not None:
    print("before", dataset.plane(z=0).sum(), flush=True)

if when == "before":
    import ndviewer_light.storage.remote.remote_bytes  # known, but nothing was asked for

child = os.fork()
if not child:
    read((lambda: dataset) if dataset else (lambda: open_dataset(url)), lambda said: print("forked", said))
    sys.exit(0)  # as a program ends, with all that Python tidies up
assert os.waitpid(child, 0)[1] == 0

ours, theirs = multiprocessing.Pipe(duplex=False)
pool = multiprocessing.get_context("fork").Process(target=read, args=(lambda: open_dataset(url), theirs.send))
pool.start()
print("multiprocessing", ours.recv(), flush=True)
pool.join()

dataset = dataset or open_dataset(url)
for z in range(2, 8):
    print("parent", dataset.plane(z=z).sum(), flush=True)
dataset.close()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_forked_process_reads_or_is_told_at_once_and_its_parent_reads_on(tmp_path, when):
    data = volume((8, 300, 400))
    write(tmp_path / "a.h5", data, chunks=(1, 300, 400), **GZIP)
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "kept"), "HOME": str(tmp_path / "kept")}
    with RangeServer(tmp_path) as server:
        command = [sys.executable, "-c", _PROGRAM, server.url("a.h5"), when]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=environment, check=False
        )
    sums = [str(int(plane.sum())) for plane in np.asarray(data)]
    said = [line.partition(" ")[::2] for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, ended.stderr
    children = [text for who, text in said if who in ("forked", "multiprocessing")]
    if when == "before":
        assert children == [sums[1], sums[1]]
    else:
        assert len(children) == 2
        assert all(text.startswith("DatasetError: this process was forked") for text in children), children
    assert [text for who, text in said if who == "parent"] == sums[2:]


_HOST = """
import os, sys
import obstore
from obstore.store import HTTPStore
import ndviewer_light.storage.remote.remote_bytes
from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError

url, name = sys.argv[1:]
obstore.get(HTTPStore.from_url(url, client_options={"allow_http": True}), name).bytes()
child = os.fork()
if child:
    sys.exit(os.waitpid(child, 0)[1])
try:
    open_dataset(f"{url}/{name}")
except DatasetError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no names to go by")
def test_a_process_forked_from_a_host_that_used_obstore_itself_is_told_so(tmp_path):
    write(tmp_path / "a.h5", volume((2, 30, 40)))
    with RangeServer(tmp_path) as server:
        command = [sys.executable, "-c", _HOST, server.url().rstrip("/"), "a.h5"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "this process was forked" in ended.stdout
