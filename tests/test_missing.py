"""What a plane is of which nothing is stored, in every form of Zarr and by every way out.

The values are those that zarr-python reads; what is said to be not acquired is in no library.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_source import Clock, wait_until
from stacks_with_holes import (
    ABSENT,
    FILLED,
    PENDING,
    PRESENT,
    SIZE,
    assert_is_all_there,
    datasets_that_are_closed,  # noqa: F401
    server_of_a_module,  # noqa: F401
    stack,
    states,
)

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.missing import LOOKS_REMOTE
from ndviewer_light.storage import activity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


pytestmark = stores.needs_zarr_3


# ---- zarr, as zarr-python writes it --------------------------------------------------------------


KINDS: dict[str, dict[str, Any]] = {
    "v3": {"chunks": (1, *SIZE)},
    "v3 tiles": {"chunks": (1, 8, 8)},
    "v3 shards of a plane": {"chunks": (1, 8, 8), "shards": (1, *SIZE)},
    "v3 shards of planes": {"chunks": (1, 8, 8), "shards": (4, *SIZE)},
    "v2": {"chunks": (1, *SIZE), "zarr_format": 2},
    "v2 tiles": {"chunks": (1, 8, 8), "zarr_format": 2},
}
VALUES = [
    *[("u2", 0), ("u2", 7), (">u2", 777), ("u1", 255), ("i4", -1), ("f4", np.nan), ("f8", -1.5)],
    *[("bool", False), ("bool", True), ("c8", complex(1, np.nan))],
]


def write(path: Path, pixels: np.ndarray, fill: Any, axes: str = "zyx", **how: Any) -> zarr.Array:
    """An array with an image around it as zarr-python writes it, leaving out chunks of only `fill`."""
    version = how.get("zarr_format", 3)
    array = zarr.create_array(
        path / "0",
        shape=pixels.shape,
        dtype=pixels.dtype,
        fill_value=fill,
        **{"chunks": KINDS["v3"]["chunks"]} | how,
    )
    attributes = stores.image_attributes(axes, channels=stores.CHANNELS[:1], squid=False)
    stores.write_group(path, attributes, version)
    array[...] = pixels
    return array


def packed(path: Path) -> Path:
    return type(path)(shutil.make_archive(str(path), "zip", path))


Opener = "Callable[..., Dataset]"


@pytest.mark.parametrize(
    ("kind", "dtype", "fill"),
    [
        pytest.param(kind, *value, id=f"{kind}-{value[0]}-{value[1]}")
        for i, kind in enumerate(KINDS)
        for value in (VALUES if kind in ("v2", "v3") else VALUES[i % 3 :: 3])
    ],
)
def test_zarr_in_a_folder(tmp_path, opened, kind, dtype, fill):
    pixels = stack(dtype, fill)
    if kind.startswith("v3"):
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    array = write(tmp_path / "a.zarr", pixels, fill, **KINDS[kind])
    assert_is_all_there(opened(tmp_path / "a.zarr"), np.asarray(array[...]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["isolated", "zip", "server", "server that refuses", "zip on server"])
def test_zarr_elsewhere(tmp_path, opened, server, kind, how):
    folder = server.folder / f"{kind}-{how}".replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    array = write(folder, stack("u2", 7), 7, **KINDS[kind])
    if "server" in how:
        server.set(missing_status=403 if "refuses" in how else 404)
    place = packed(folder) if "zip" in how else folder
    if "server" in how:
        dataset = opened(server.url(place.name), storage_options={"cache_dir": str(tmp_path)})
    else:
        dataset = opened(place, isolate=how == "isolated")
    assert_is_all_there(dataset, np.asarray(array[...]))


def test_few_requests_for_missing_planes_on_a_server(tmp_path, opened, server):
    write(server.folder / "few.zarr", stack("u2", 7, n=60, blank=[3, *range(30, 60)]), 7)
    server.set()
    dataset = opened(server.url("few.zarr"), storage_options={"cache_dir": str(tmp_path)})
    assert states(dataset, [(0, 0, 0, 4)]) == [PRESENT]
    before = len(server.log())
    assert states(dataset, [(0, 0, 0, z) for z in (3, 50, 59)]) == [FILLED] * 3
    # the plane itself, and at most once around: what was read before saves looking
    assert len(server.log()) - before <= 3 + 3 * LOOKS_REMOTE


@pytest.mark.parametrize("kind", KINDS)
def test_planes_of_which_only_some_chunks_are_stored(tmp_path, opened, kind):
    pixels = stack("u2", 7)
    pixels[:, 8:16, 16:24] = 7
    array = write(tmp_path / "a.zarr", pixels, 7, **KINDS[kind])
    assert_is_all_there(opened(tmp_path / "a.zarr"), np.asarray(array[...]))


def test_fill_value_null(tmp_path, opened):
    write(tmp_path / "a.zarr", stack("u2", 0), 0, **KINDS["v2"])
    for file in (tmp_path / "a.zarr/0/.zarray", tmp_path / "a.zarr/0/zarr.json"):
        if file.exists():
            file.write_text(json.dumps({**json.loads(file.read_text()), "fill_value": None}))
    assert_is_all_there(
        opened(tmp_path / "a.zarr"), np.asarray(zarr.open_array(tmp_path / "a.zarr/0", mode="r")[...])
    )


@pytest.mark.parametrize("written", ["7", "7.0"])
def test_a_fill_value_as_text(tmp_path, opened, written):
    pixels = stack("u2", 7)
    write(tmp_path / "a.zarr", pixels, 7, **KINDS["v2 tiles"])
    file = tmp_path / "a.zarr/0/.zarray"
    file.write_text(json.dumps({**json.loads(file.read_text()), "fill_value": written}))
    assert_is_all_there(opened(tmp_path / "a.zarr"), pixels)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_pattern_of_missing_chunks(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """What has pixels has those of zarr-python; what has none is fill value there, and nothing tells more."""
    sizes = tuple(data.draw(st.integers(1, 3)) for _ in range(3))
    dtype, fill = data.draw(st.sampled_from([("u2", 0), ("u1", 7), ("f4", np.nan), ("i2", -1)]))
    blank = data.draw(st.sets(st.tuples(*(st.integers(0, n - 1) for n in sizes))))
    chunks = (*(data.draw(st.integers(1, n)) for n in sizes), *data.draw(st.sampled_from([SIZE, (8, 8)])))
    shards = data.draw(st.sampled_from([None, tuple(2 * n for n in chunks)]))
    pixels = np.full((*sizes, *SIZE), 100, dtype)
    for at in blank:
        pixels[at] = fill
    path = tmp_path_factory.mktemp("any") / "a.zarr"
    array = np.asarray(write(path, pixels, fill, "tczyx", chunks=chunks, shards=shards)[...])
    with open_dataset(path) as dataset:
        np.testing.assert_array_equal(dataset.to_xarray(missing="fill").values[:, 0].swapaxes(1, 2), array)
        written = [at for at in np.ndindex(*sizes) if at not in blank]
        for t, c, z in np.ndindex(*sizes):
            [plane] = dataset.planes([PlaneKey(t, 0, c, z)], 0, None)
            if plane.pixels is not None:
                assert plane.state is PRESENT or (t, c, z) in blank
                np.testing.assert_array_equal(plane.pixels, array[t, c, z])
                continue
            assert plane.state is ABSENT
            assert (t, c, z) in blank
            assert not [at for at in written if at[0] == t], "others of its stack are there"
            assert not [at for at in written if np.all(np.array(at) >= (t, c, z))], "later ones are there"


# ---- zarr: what was never acquired ---------------------------------------------------------------


def write_run(
    path: Path, n_t: int, blank_t: Sequence[int], complete: bool | None, fill: int = 7
) -> np.ndarray:
    """A time-lapse (T, Y, X) without the time points `blank_t`."""
    pixels = stack("u2", fill, n_t, blank_t)
    write(path, pixels, fill, "tyx")
    if complete is not None:
        attributes = stores.image_attributes("tyx", channels=stores.CHANNELS[:1], complete=complete)
        stores.write_group(path, attributes)
    return pixels


def test_time_points_of_a_dataset_that_claims_nothing(tmp_path, opened):
    pixels = write_run(tmp_path / "a.zarr", 6, [2, 4, 5], None)
    dataset = opened(tmp_path / "a.zarr")
    assert states(dataset, [(t, 0, 0, 0) for t in range(6)]) == [
        PRESENT,
        PRESENT,
        FILLED,
        PRESENT,
        ABSENT,
        ABSENT,
    ]
    np.testing.assert_array_equal(dataset.plane(t=2), pixels[2])
    with pytest.raises(PlaneNotStoredError, match="empty or not acquired") as raised:
        dataset.plane(t=4)
    assert (raised.value.plane_shape, raised.value.fill_value) == (SIZE, 7)
    with pytest.raises(PlaneNotStoredError):
        dataset.to_xarray().compute()
    np.testing.assert_array_equal(dataset.to_xarray(missing="fill").values[:, 0, 0, 0], pixels)


@pytest.mark.parametrize(("complete", "state"), [(True, FILLED), (False, ABSENT)])
def test_time_points_of_a_dataset_that_claims_to_be_complete_or_not(tmp_path, opened, complete, state):
    pixels = write_run(tmp_path / "a.zarr", 6, [2, 4, 5], complete)
    dataset = opened(tmp_path / "a.zarr")
    assert states(dataset, [(t, 0, 0, 0) for t in (2, 4, 5)]) == [state] * 3
    if complete:
        np.testing.assert_array_equal(dataset.to_xarray().values[:, 0, 0, 0], pixels)
    else:
        with pytest.raises(PlaneNotStoredError, match="says that it is not complete"):
            dataset.plane(t=2)


@pytest.mark.parametrize("shards", [None, (1, 4, *SIZE)])
def test_positions_of_one_array_are_judged_by_themselves(tmp_path, opened, shards):
    pixels = np.stack([stack("u2", 7, 8, [3]), np.full((8, *SIZE), 7, "u2")])
    write(tmp_path / "a.zarr", pixels, 7, "pzyx", chunks=(1, 1, *SIZE), shards=shards)
    dataset = opened(tmp_path / "a.zarr")
    assert states(dataset, [(0, 0, 0, 3), (0, 1, 0, 3)]) == [FILLED, ABSENT]


def test_a_well_never_written_does_not_look_acquired(tmp_path, opened):
    plain = stores.image_attributes(squid=False, channels=stores.CHANNELS[:2])
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 1, "A/2": 1}, planned=["A/3"], attributes=plain)
    shutil.rmtree(tmp_path / "p.zarr/A/2/0/0/c")
    shutil.rmtree(tmp_path / "p.zarr/A/1/0/0/c/1/1")
    dataset = opened(tmp_path / "p.zarr")
    found = states(dataset, [(1, 0, 1, 0), (1, 1, 1, 0)])
    assert found == [FILLED, ABSENT], "the rest of a stack, and a well without a single plane"


@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("version", [2, 3])
def test_while_a_dataset_is_written_the_rest_of_a_stack_is_pending(
    tmp_path, opened, monkeypatch, version, separator
):
    clock = Clock()
    monkeypatch.setattr(activity, "time", clock)
    pixels = stack("u2", 7, blank=[1])
    name = {2: "v2", 3: "default"}[version]
    array = write(
        tmp_path / "a.zarr",
        np.full_like(pixels, 7),
        7,
        zarr_format=version,
        chunk_key_encoding={"name": name, "separator": separator},
    )
    array[:4] = pixels[:4]
    dataset = opened(tmp_path / "a.zarr")
    assert states(dataset, [(0, 0, 0, 6)]) == [FILLED], "finished or interrupted: nobody can tell"
    array[4] = pixels[4]
    assert states(dataset, []) == []
    assert states(dataset, [(0, 0, 0, z) for z in (1, 6)]) == [FILLED, PENDING]
    with pytest.raises(PlaneNotStoredError, match="not written yet"):
        dataset.plane(z=6)
    clock.now += activity.QUIET_SECONDS + 1
    np.testing.assert_array_equal(dataset.plane(z=6), np.full(SIZE, 7)), "it has come to rest"
    array[6] = pixels[6]
    np.testing.assert_array_equal(dataset.plane(z=6), pixels[6])


@pytest.mark.parametrize("kind", ["v2", "v3", "v3 tiles", "v3 shards of a plane"])
def test_what_is_written_between_opening_and_the_first_look_shows_that_more_may_come(tmp_path, opened, kind):
    """Arrays are looked at when a plane is first asked for: who wrote before that is no less at work."""
    pixels, path = stack("u2", 7), tmp_path / "a.zarr"
    array = write(path, np.full_like(pixels, 7), 7, **KINDS[kind])
    dataset = opened(path)
    after(tmp_path)
    array[0] = pixels[0]
    assert states(dataset, [(0, 0, 0, z) for z in (0, 1, 6)]) == [PRESENT, PENDING, PENDING]
    with pytest.raises(PlaneNotStoredError, match="not written yet"):
        dataset.plane(z=6)


def after(folder: Path) -> None:
    """Wait until the clock of files is past what it is now."""
    now = time.time_ns()
    wait_until(lambda: (folder / "probe").write_text("") == 0 and (folder / "probe").stat().st_mtime_ns > now)


def test_a_plane_written_later_replaces_its_fill_value(tmp_path, opened):
    pixels = stack("u2", 7)
    array = write(tmp_path / "a.zarr", pixels, 7)
    dataset = opened(tmp_path / "a.zarr")
    assert (dataset.plane(z=7) == 7).all()
    array[7] = 9
    assert (dataset.plane(z=7) == 9).all()


def test_another_level_has_its_own_shape(tmp_path, opened):
    stores.write_pyramid(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr/0/c/0")
    shutil.rmtree(tmp_path / "a.zarr/1/c/0")
    dataset = opened(tmp_path / "a.zarr")
    for level in (0, 1, 0):
        [plane] = dataset.planes([PlaneKey()], level, None)
        assert plane.state is FILLED
        assert plane.pixels.shape == (stores.HEIGHT >> level, stores.WIDTH >> level)
