"""The small pictures of the overview in the window, made by a cluster of dask, or without it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from overview_fields import assert_all_shown, shown, write_plate
from runs import load
from screen import choose_limits, settle

pytestmark = pytest.mark.gl

_CLUSTER = """
import sys
from distributed import Client, LocalCluster

def n_open():
    module = sys.modules.get("ndviewer_light.engine.cluster_thumbnails")
    return 0 if module is None else len(module._open)

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.readline()
        with Client(cluster) as client:
            print(*client.run(n_open).values(), flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def cluster(tmp_path):
    """A cluster of two processes: its address is its first line, then, when asked, what workers have open."""
    pytest.importorskip("distributed")
    script = tmp_path / "cluster.py"
    script.write_text(_CLUSTER)
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, str(script)], stdin=pipe, stdout=pipe, text=True)
    yield process
    process.communicate("\n\n", timeout=60)


def test_the_workers_of_a_cluster_make_the_pictures_in_the_window(qtbot, viewer, tmp_path, cluster):
    path = write_plate(tmp_path / "p.ome.zarr")
    viewer.use_cluster(cluster.stdout.readline().strip())
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    assert_all_shown(viewer, overview.canvas)
    assert not overview.reading.trouble
    cluster.stdin.write("\n")
    cluster.stdin.flush()
    n_open = [int(each) for each in cluster.stdout.readline().split()]
    assert len(n_open) == 2 and max(n_open) == 1  # at least one of the two has opened the dataset


def test_without_its_cluster_the_overview_is_complete_and_says_why(qtbot, viewer, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("ndviewer_light.engine.cluster_thumbnails.CLUSTER_SECONDS", 0.2)
    path = write_plate(tmp_path / "p.ome.zarr")
    viewer.use_cluster("tcp://127.0.0.1:9")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    told = []
    viewer._screen.tools.scene.noted.connect(told.append)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    assert_all_shown(viewer, overview.canvas)
    qtbot.waitUntil(lambda: any("tcp://127.0.0.1:9 cannot be reached" in each for each in told))
