"""The statistics of a run as a table: right, said where there are none, not worked out twice."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores

import ndviewer_light as nl
from ndviewer_light.cli.measure import main
from ndviewer_light.engine.measured_table import STATISTICS

if TYPE_CHECKING:
    import xarray as xr

    from tests.range_server import RangeServer

pytest.importorskip("dask")
pytest.importorskip("xarray")

ROOT = Path(__file__).parents[1]
SECOND = stores.CHANNELS[1]


@pytest.fixture(autouse=True)
def a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(name="run")
def three_fields(tmp_path: Path) -> Path:
    """Fields of two wells: t 2, c 2, z 2."""
    stores.write_per_fov(tmp_path / "run", {"A1": 2, "B2": 1})
    stores.make_old(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(name="measured")
def count_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    from ndviewer_light.sources import source

    shapes: list[tuple[int, ...]] = []
    statistics_of = source.statistics_of

    def counted(pixels: np.ndarray):  # type: ignore[no-untyped-def]
        shapes.append(pixels.shape)
        return statistics_of(pixels)

    monkeypatch.setattr(source, "statistics_of", counted)
    return shapes


def right(plane: np.ndarray) -> dict[str, float]:
    p1, p50, p99_9 = np.percentile(plane, [1, 50, 99.9])
    return {
        "mean": plane.mean(),
        "p1": p1,
        "p50": p50,
        "p99_9": p99_9,
        "low": plane.min(),
        "high": plane.max(),
        "saturated": 0.0,
        "focus": plane.var() / plane.mean(),
    }


@pytest.mark.parametrize("isolate", [False, True], ids=["here", "reader process"])
def test_every_plane_has_the_numbers_that_numpy_gives(run: Path, isolate: bool) -> None:
    told: list[tuple[int, int]] = []
    with nl.open_dataset(run, isolate=isolate) as dataset:
        found = dataset.measure(progress=lambda *each: told.append(each))
        assert found.sizes == {"time": 2, "fov": 3, "z": 2, "channel": 2}
        assert list(found.position.values) == ["A1:0", "A1:1", "B2:0"]
        for t, p, z, c in np.ndindex(2, 3, 2, 2):
            here = found.isel(time=t, fov=p, z=z, channel=c)
            for name, value in right(stores.plane(t=t, p=p, c=c, z=z)).items():
                np.testing.assert_allclose(here[name], value, rtol=1e-9, err_msg=name)
            assert here.state == "present" and here.pixels == here.finite == stores.HEIGHT * stores.WIDTH
        age = np.datetime64("now") - found.written.values
        assert (age > np.timedelta64(30, "s")).all() and (age < np.timedelta64(1, "h")).all()
        some = dataset.measure(channels=SECOND, t=-1, positions=["B2:0", 0], z=slice(1, None))
        assert some.sizes == {"time": 1, "fov": 2, "z": 1, "channel": 1}
        assert some["mean"].sel(fov=2).item() == stores.plane(t=1, p=2, c=1, z=1).mean()
        for wrong in ({"channels": "Cy9"}, {"t": 7}, {"positions": "Z9:0"}):
            with pytest.raises((KeyError, IndexError), match=r"there is no|no position is named"):
                dataset.measure(**wrong)  # type: ignore[arg-type]
        frame = found.to_dataframe().reset_index()
        assert len(frame) == 24 and set(STATISTICS) <= set(frame.columns)
    assert told[-1] == (24, 24) and told == sorted(told)


def test_what_is_known_is_not_measured_again(run: Path, measured: list[object]) -> None:
    class Interrupt(Exception):
        pass

    def stop(done: int, _expected: int) -> None:
        raise Interrupt

    with nl.open_dataset(run) as dataset, pytest.raises(Interrupt):
        dataset.measure(progress=stop)  # after one batch
    assert 0 < len(measured) < 24
    with nl.open_dataset(run) as dataset:
        first = dataset.measure()
        assert len(measured) == 24
        assert dataset.measure().equals(first) and len(measured) == 24
    with nl.open_dataset(run) as dataset:
        assert dataset.measure().equals(first) and len(measured) == 24
    chunk = stores.chunk_files(run)[0]
    chunk.write_bytes(chunk.read_bytes())
    with nl.open_dataset(run) as dataset:
        again = dataset.measure()
    assert len(measured) == 25 and again["mean"].equals(first["mean"])


def test_planes_on_a_server_are_fetched_once(
    tmp_path: Path, server: RangeServer, measured: list[object]
) -> None:
    stores.write_image(tmp_path / "one.zarr")
    stores.make_old(tmp_path / "one.zarr", 2 * 86_400)  # as long as pixels may change, nothing is kept
    options = {"cache_dir": str(tmp_path / "kept")}
    with nl.open_dataset(server.url("one.zarr"), storage_options=options) as dataset:
        first = dataset.measure()
    assert len(measured) == 8
    assert first["mean"].isel(time=1, fov=0, z=1, channel=1) == stores.plane(t=1, c=1, z=1).mean()
    shutil.rmtree(tmp_path / "one.zarr/0/c")
    with nl.open_dataset(server.url("one.zarr"), storage_options=options) as dataset:
        assert dataset.measure().equals(first)
    assert len(measured) == 8


def test_planes_that_are_missing_damaged_or_different_are_said(tmp_path: Path) -> None:
    field = {"sizes": {"t": 1, "z": 1}}
    stores.write_plate(tmp_path / "plate", {"A/1": 1, "A/2": 1, "B/1": 1}, planned=["B/2"], **field)
    shutil.rmtree(tmp_path / "plate/B/1/0")
    stores.write_image(
        tmp_path / "plate/B/1/0", sizes={"t": 2, "z": 1, "c": 3, "y": 9, "x": 11}, dtype="float32", p=2
    )
    damaged, _ = stores.chunk_files(tmp_path / "plate/A/1/0")
    damaged.write_bytes(b"damaged")
    stores.chunk_files(tmp_path / "plate/A/2/0")[0].unlink()
    stores.make_old(tmp_path / "plate")
    with nl.open_dataset(tmp_path / "plate") as dataset:
        found: xr.Dataset = dataset.measure()
    states = found.state.transpose("fov", "time", "channel", "z").values[..., 0].tolist()
    assert states[0] == [["unreadable", "present", ""], ["", "", ""]]
    assert states[1] == [["missing", "present", ""], ["", "", ""]]
    assert states[2] == [["present"] * 3] * 2
    assert np.isnan(found["mean"][0, :2, 0, 0]).all()
    assert "damaged" in found.reason[0, 0, 0, 0].item() and "missing" in found.reason[0, 1, 0, 0].item()
    assert found.reason[0, 0, 0, 1].item() == ""
    assert (found.pixels[:, 2] == 99).all() and np.isnan(found.saturated[:, 2]).all()
    whole = stores.image_attributes(channels=stores.CHANNELS[:2], complete=True)
    stores.write_image(tmp_path / "one.zarr", skip=[(0, 0, 0, 0)], attributes=whole)
    stores.make_old(tmp_path / "one.zarr")
    with nl.open_dataset(tmp_path / "one.zarr") as dataset:
        first = dataset.measure(t=0, channels=0, z=0).squeeze()
    assert (first.state, first["mean"], first.pixels) == ("filled", 0, stores.HEIGHT * stores.WIDTH)
    assert np.isnan(first.focus) and first.reason.item()


def test_a_plane_that_is_too_large_is_measured_tile_by_tile(tmp_path: Path) -> None:
    sizes = {"t": 1, "c": 1, "z": 1, "y": 4200, "x": 4100}
    stores.write_image(tmp_path / "slide.zarr", sizes=sizes, tile=1400, dtype="uint8")
    with nl.open_dataset(tmp_path / "slide.zarr") as dataset:
        found = dataset.measure().squeeze()
    plane = stores.plane(shape=(4200, 4100), dtype=np.uint8)
    assert (found.pixels, found.low, found.high) == (plane.size, plane.min(), plane.max())
    np.testing.assert_allclose(found["mean"], plane.mean(), rtol=1e-9)
    np.testing.assert_allclose(found.focus, plane.var() / plane.mean(), rtol=0.01)


# ---- the command ---------------------------------------------------------------------------


def test_the_command_writes_a_row_per_plane(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    command = [
        sys.executable,
        "-m",
        "ndviewer_light",
        "measure",
        str(run),
        "-o",
        str(out),
        "--channels",
        SECOND,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out}\n", "")
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["position"], row["t"], row["z"]) for row in rows] == [
        (position, t, z) for position in ("A1:0", "A1:1", "B2:0") for t in "01" for z in "01"
    ]
    for i, row in enumerate(rows):
        plane = stores.plane(t=int(row["t"]), p=i // 4, c=1, z=int(row["z"]))
        for name, value in right(plane).items():
            np.testing.assert_allclose(float(row[name]), value, rtol=1e-9, err_msg=name)
        assert (row["channel"], row["state"]) == (SECOND, "present")
    assert not list(tmp_path.glob("*.part"))


def test_what_the_command_cannot_do_is_said_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pyarrow" else find_spec(name, *more)
    )
    for output, said in [
        ("a.parquet", "needs pyarrow"),
        ("a.xlsx", "must end with one of .csv .parquet"),
        (str(run / "a.csv"), "lies within the dataset"),
        (str(tmp_path / "missing" / "a.csv"), f"there is no folder {tmp_path / 'missing'}"),
    ]:
        with pytest.raises(SystemExit):
            main([str(run), "-o", output])
        assert said in capsys.readouterr().err.splitlines()[-1]
    for option, text, status, said in [
        ("--channels", "Cy9", 1, "there is no channel 'Cy9'"),
        ("--t", "2:9", 1, "--t 2:9 selects nothing: there are 2"),
        ("--positions", "1:0", 1, "--positions 1:0 selects nothing: there are 3"),
        ("--t", "::0", 2, "the step, behind the second colon, must not be 0"),
        ("--channels", "::0", 1, "the step, behind the second colon, must not be 0"),
        ("--z", "0:1:1:1", 2, "expected indices, as in 0,5 or 0:10 or ::2, not '0:1:1:1'"),
        ("--t", "a", 2, "expected indices"),
    ]:
        with contextlib.suppress(SystemExit):
            assert main([str(run), option, text]) == status == 1
        assert said in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_missing_planes_are_the_exit_status_and_Ctrl_C_keeps_what_is_done(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, measured: list[object]
) -> None:
    from contextlib import contextmanager

    from ndviewer_light.cli import measure

    @contextmanager
    def interrupted(_doing: str):  # type: ignore[no-untyped-def]
        def show(done: int, _expected: int) -> None:
            raise KeyboardInterrupt

        yield show

    stores.chunk_files(run)[0].write_bytes(b"damaged")
    stores.make_old(run)
    monkeypatch.setattr(measure, "shown_progress", interrupted)
    assert main([str(run)]) == 130
    said = capsys.readouterr()
    assert said.out == "" and "of 24 planes measured and kept" in said.err
    before = len(measured)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(run.parent / "cache"))
    assert main([str(run)]) == 3
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 25 and "1 unreadable" in said.err
    assert before > 0


def test_a_cluster_measures_what_its_workers_can_open(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    code = """
import sys
from distributed import LocalCluster
from ndviewer_light.cli.measure import main

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(main([sys.argv[1], "-o", sys.argv[2], "--scheduler", cluster.scheduler_address]))
"""
    (tmp_path / "script.py").write_text(code)
    out = tmp_path / "out.csv"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(run), str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == [str(out), "0"], done.stderr
    means = [float(row["mean"]) for row in csv.DictReader(io.StringIO(out.read_text()))]
    np.testing.assert_allclose(
        means,
        [stores.plane(t=t, p=p, c=c, z=z).mean() for p, t, z, c in np.ndindex(3, 2, 2, 2)],
    )
    with nl.open_dataset(run) as dataset:  # kept here, whoever worked it out
        assert dataset.statistics.recall(dataset._source) == 24


def test_parquet_has_the_same_table(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    out = tmp_path / "out.parquet"
    command = [sys.executable, "-m", "ndviewer_light", "measure", str(run), "-o", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{out}\n", "")
    with nl.open_dataset(run) as dataset:
        frame = dataset.measured_table().to_frame()
    found = pd.read_parquet(out, engine="pyarrow")
    assert list(found.columns) == list(frame.columns) and len(found) == 24
    assert str(found["written"].dtype).startswith("datetime64")
    for name in ("position", "channel", "state", "acquired_by", "t", "z", "pixels"):
        assert found[name].tolist() == frame[name].tolist(), name
    for name in (*STATISTICS, "acquired_s", "x_um"):
        np.testing.assert_array_equal(found[name], frame[name], err_msg=name)
