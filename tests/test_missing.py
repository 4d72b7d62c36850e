"""What a plane is of which nothing is stored: the rule, and every format and way out against its own library.

The values are those that zarr-python and h5py read; what is said to be not acquired is in no library.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import h5py
import hdf5_files
import numpy as np
import pytest
import stores
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_source import Clock

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError, PlaneNotWrittenError
from ndviewer_light.isolation.protocol import error_from_json, error_to_json
from ndviewer_light.model import Channel, DatasetInfo, PlaneKey, PlaneState, Position
from ndviewer_light.sources.missing import LOOKS_REMOTE, Found, Surroundings, judge, missing_plane
from ndviewer_light.sources.missing_planes import Claims, MissingPlanesOfMany
from ndviewer_light.storage import activity
from tests.range_server import RangeServer
from tests.reference_files import ReferenceWriter

pytestmark = stores.needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

FILLED, PENDING, ABSENT, PRESENT = (
    PlaneState.FILLED,
    PlaneState.PENDING,
    PlaneState.ABSENT,
    PlaneState.PRESENT,
)
SIZE = (24, 40)


# ---- the rule itself -----------------------------------------------------------------------------


def judged(
    plane: tuple[int, int, int],
    stored: Sequence[tuple[int, int, int]],
    sizes: tuple[int, int, int] = (3, 2, 4),
    complete: bool | None = None,
    is_being_written: bool = False,
    looks: int = 1000,
) -> Found:
    there = set(stored)
    around = Surroundings(
        sizes,
        complete,
        lambda planes: next((each for each in planes if each in there), None),
        lambda: is_being_written,
        looks=looks,
    )
    return judge(plane, around).found


ALL = list(itertools.product(range(3), range(2), range(4)))


@pytest.mark.parametrize("plane", ALL)
def test_one_hole_in_what_is_all_there_is_the_fill_value(plane):
    assert judged(plane, [each for each in ALL if each != plane]) is Found.FILL


@pytest.mark.parametrize("plane", ALL)
def test_where_nothing_is_stored_nothing_was_acquired(plane):
    assert judged(plane, []) is Found.ABSENT


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("n_written", [1, 5, 11, 23])
def test_what_a_running_writer_has_not_reached_is_never_black(order, n_written):
    """Whatever the nesting of its loops, and if it leaves out every third plane because it is blank."""
    in_order = sorted(ALL, key=lambda plane: [plane[axis] for axis in order])
    stored = [plane for i, plane in enumerate(in_order[:n_written]) if i % 3 == 0]
    for plane in in_order[n_written:]:
        assert judged(plane, stored, is_being_written=True) is not Found.FILL, plane


def test_of_an_aborted_run_time_points_never_reached_were_not_acquired():
    stored = [plane for plane in ALL if plane[0] == 0] + [(1, 0, 0), (1, 1, 0)]
    assert judged((1, 0, 2), stored) is Found.FILL, "the rest of a stack: in doubt, and it is said"
    assert judged((2, 0, 0), stored) is Found.ABSENT
    assert judged((1, 0, 2), stored, complete=False) is Found.ABSENT
    assert judged((1, 0, 2), stored, complete=False, is_being_written=True) is Found.EXPECTED
    assert judged((2, 0, 0), stored, complete=True) is Found.FILL


def test_a_blank_time_point_between_others_is_the_fill_value():
    stored = [plane for plane in ALL if plane[0] != 1]
    for plane in ALL:
        assert judged(plane, stored) is Found.FILL
        assert judged(plane, stored, is_being_written=True) is (
            Found.FILL if plane[0] < 2 or plane != (2, 1, 3) else Found.EXPECTED
        )


@settings(max_examples=200, deadline=None)
@given(
    stored=st.sets(st.sampled_from(ALL)),
    complete=st.sampled_from([None, None, True, False]),
    is_being_written=st.booleans(),
    batches=st.integers(1, 24),
)
def test_many_planes_are_judged_as_each_of_them_is(stored, complete, is_being_written, batches):
    looked_for: list[PlaneKey] = []

    def are_stored(keys: Sequence[PlaneKey]) -> list[bool | None]:
        looked_for.extend(keys)
        return [(key.t, key.c, key.z) in stored for key in keys]

    info = DatasetInfo("test", (Position("A1", 0),), (Channel("a", ""), Channel("b", "")), 3, 4, 8, 8, None)
    many = MissingPlanesOfMany(are_stored)
    missing = [PlaneKey(t, 0, c, z) for t, c, z in ALL if (t, c, z) not in stored]
    found: list[Found] = []
    for i in range(0, len(missing), batches):
        keys = missing[i : i + batches]
        found += many.of(keys, info, lambda _p: Claims(complete, lambda: is_being_written))
    expected = [
        judged((key.t, key.c, key.z), list(stored), (3, 2, 4), complete, is_being_written) for key in missing
    ]
    assert found == expected
    assert len(set(looked_for)) == len(looked_for), "what is known is not looked for again"


def test_a_claim_needs_no_look():
    def unwanted(*_: object) -> None:
        raise AssertionError("nobody asked")

    around = Surroundings((3, 2, 4), True, unwanted, unwanted)
    assert judge((0, 0, 0), around).found is Found.FILL


@pytest.mark.parametrize("hole", [(5, 1, 0), (5, 1, 50), (5, 1, 99), (0, 0, 0), (99, 1, 99)])
def test_few_looks_suffice_for_a_hole(hole):
    sizes = (100, 2, 100)
    around = Surroundings(
        sizes,
        None,
        lambda planes: (
            planes[0]
            if len(planes) <= LOOKS_REMOTE and planes[0] != hole
            else pytest.fail(f"{len(planes)} looks")
        ),
        lambda: False,
        looks=LOOKS_REMOTE,
    )
    assert judge(hole, around).found is Found.FILL


def test_while_a_host_says_that_its_run_is_on_its_word_counts():
    error = nothing_stored()
    assert missing_plane(error, live=True, notified=True).state is FILLED
    assert missing_plane(error, live=True, notified=False).state is PENDING
    error.is_fill_value = True
    assert missing_plane(error, live=True, notified=False).state is PENDING, "it may still come"
    error.shares_chunks = True
    plane = missing_plane(error, live=True, notified=True)
    assert plane.state is PENDING, "the writer may keep it in memory until the chunk is full"
    assert "empty, or not written yet" in plane.reason


@pytest.mark.parametrize("notified", [True, False])
def test_afterwards_only_the_dataset_counts(notified):
    error = nothing_stored()
    assert missing_plane(error, live=False, notified=notified).state is ABSENT
    error.is_fill_value = True
    assert missing_plane(error, live=False, notified=notified).state is FILLED
    error.is_fill_value, error.is_expected = False, True
    assert missing_plane(error, live=False, notified=notified).state is PENDING


def nothing_stored():
    error = PlaneNotStoredError("nothing")
    error.plane_shape, error.fill_value = (2, 3), np.uint16(7)
    return error


def test_without_a_fill_value_no_plane_is_one():
    error = PlaneNotStoredError("no such file")
    error.plane_shape = (2, 3)
    assert missing_plane(error, live=False, notified=True).state is ABSENT
    unwritten = PlaneNotWrittenError("a file of zeros")
    unwritten.plane_shape, unwritten.fill_value = (2, 3), np.uint8(0)
    assert missing_plane(unwritten, live=True, notified=True).state is PENDING


@pytest.mark.parametrize(
    "fill",
    [
        *(np.uint16(0), np.uint16(777), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True)),
        *(np.float32("nan"), np.float64("-inf"), np.float16(0.5), np.complex64(complex(np.nan, -1))),
    ],
)
def test_what_is_missing_crosses_to_the_process_of_the_viewer(fill):
    error = PlaneNotStoredError("nothing")
    error.plane_shape, error.fill_value, error.is_fill_value = (2, 3), fill, True
    again = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert isinstance(again, PlaneNotStoredError)
    assert (again.plane_shape, again.is_fill_value, again.is_expected) == ((2, 3), True, False)
    plane = missing_plane(again, live=False, notified=False)
    assert plane.pixels.dtype == fill.dtype
    np.testing.assert_array_equal(plane.pixels, np.full((2, 3), fill))
    assert plane.reason == f"nothing stored, shown as the fill value {fill.item()}"


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


def stack(dtype: str, fill: Any, n: int = 8, blank: Sequence[int] = (2, 7)) -> np.ndarray:
    """A stack (Z, Y, X) that differs from `fill` everywhere but in its `blank` slices."""
    planes = [stores.plane(z=z) for z in range(n)]
    values = np.stack(planes).astype(dtype)
    if np.dtype(dtype).kind == "b":
        values[...] = not fill
    elif not np.isnan(fill):
        values[values == np.asarray(fill, dtype)] += 1
    values[list(blank)] = fill
    return values


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    pytest.importorskip("obstore")
    from ndviewer_light.storage.remote.scheduler import the_scheduler

    with RangeServer(tmp_path_factory.mktemp("served")) as running:
        yield running
    the_scheduler().stop()


Opener = "Callable[..., Dataset]"


@pytest.fixture
def opened() -> Iterator[Callable[..., Dataset]]:
    datasets: list[Dataset] = []

    def open_(path: object, **options: Any) -> Dataset:
        datasets.append(open_dataset(str(path), **options))
        return datasets[-1]

    yield open_
    for dataset in datasets:
        dataset.close()


def states(dataset: Dataset, keys: Sequence[tuple[int, int, int, int]], level: int = 0) -> list[PlaneState]:
    return [plane.state for plane in dataset.planes([PlaneKey(*key) for key in keys], level, None)]


def assert_is_all_there(dataset: Dataset, wanted: np.ndarray, blank: Sequence[int] = (2, 7)) -> None:
    """Every way out gives `wanted` (Z, Y, X), and those in view are told apart."""
    keys = [PlaneKey(z=z) for z in range(len(wanted))]
    planes = dataset.planes(keys, 0, None)
    assert [z for z, plane in enumerate(planes) if plane.state is FILLED] == list(blank)
    for z, plane in enumerate(planes):
        assert plane.state is (FILLED if z in blank else PRESENT)
        assert plane.pixels is not None
        for pixels in (plane.pixels, dataset.plane(z=z)):
            assert pixels.dtype == dataset.info.dtype == wanted.dtype.newbyteorder("=")
            assert pixels.flags.c_contiguous
            assert not pixels.flags.writeable
            np.testing.assert_array_equal(pixels, wanted[z])
    for missing in ("raise", "fill"):
        np.testing.assert_array_equal(dataset.to_xarray(missing=missing).values[0, 0, :, 0], wanted)
    assert dataset._cache.nbytes == (len(wanted) - len(blank)) * wanted[0].nbytes, "nothing made up is kept"


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


# ---- HDF5, as h5py writes it ---------------------------------------------------------------------

HDF5_KINDS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (1, *SIZE)},
    "tiles": {"chunks": (1, 8, 8), "compression": "gzip"},
    "growing": {"chunks": (1, 8, 8), "maxshape": (None, *SIZE)},
    "growing twice": {"chunks": (1, 8, 8), "maxshape": (None, None, SIZE[1])},
    "only h5py decodes": {"chunks": (1, *SIZE), "scaleoffset": 0},
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("kind", HDF5_KINDS)
@pytest.mark.parametrize(
    ("dtype", "fill"), [("u2", 777), (">u2", 777), ("f4", np.nan), ("i4", -1), ("bool", True)]
)
def test_hdf5(tmp_path, opened, libver, kind, dtype, fill):
    if "scaleoffset" in HDF5_KINDS[kind] and np.dtype(dtype).kind not in "iu":
        pytest.skip("the filter is for integers")
    pixels = stack(dtype, fill)
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        data = file.create_dataset("a", pixels.shape, dtype, fillvalue=fill, **HDF5_KINDS[kind])
        for i, axis in enumerate("zyx"):
            data.dims[i].label = axis
        for z in range(8):
            if z not in (2, 7):
                data[z] = pixels[z]
    with h5py.File(tmp_path / "a.h5") as file:
        wanted = file["a"][...]
    np.testing.assert_array_equal(wanted, pixels)
    dataset = opened(tmp_path / "a.h5")
    if kind == "growing twice" and libver == "latest":
        # of this kind of index h5py tells nothing until all of it is listed
        np.testing.assert_array_equal(dataset.to_xarray().values[0, 0, :, 0], wanted)
        return
    assert_is_all_there(dataset, wanted)


def test_hdf5_of_which_nothing_is_stored(tmp_path, opened):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (3, *SIZE), "u2", chunks=(1, *SIZE), fillvalue=777)
    dataset = opened(tmp_path / "a.h5")
    with pytest.raises(PlaneNotStoredError) as raised:
        dataset.plane()
    assert (raised.value.plane_shape, raised.value.fill_value) == (SIZE, 777)
    assert (dataset.to_xarray(missing="fill").values == 777).all()


def test_hdf5_that_is_growing(tmp_path, opened):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        data = file.create_dataset(
            "a", (8, *SIZE), "u2", chunks=(1, *SIZE), maxshape=(None, *SIZE), fillvalue=777
        )
        for i, axis in enumerate("zyx"):
            data.dims[i].label = axis
        data[0] = 1
        file.swmr_mode = True
        data.flush()
        dataset = opened(tmp_path / "a.h5")
        assert states(dataset, [(0, 0, 0, 5)]) == [ABSENT], "its writer has not closed it"
        before = activity.newest_change(str(tmp_path))
        while activity.newest_change(str(tmp_path)) == before:  # modification times are coarse
            data[1] = 1
            data.flush()
        assert states(dataset, []) == []
        assert states(dataset, [(0, 0, 0, 5)]) == [PENDING]


def test_hdf5_on_a_server(tmp_path, opened, server):
    hdf5_files.write_blocks(server.folder / "a.h5", (4, 37, 53), (1, 16, 20), [0, 2])
    server.set()
    dataset = opened(server.url("a.h5"), storage_options={"cache_dir": str(tmp_path)})
    with h5py.File(server.folder / "a.h5") as file:
        wanted = next(iter(file.values()))[...]
    np.testing.assert_array_equal(dataset.to_xarray().values[0, 0, :, 0], wanted)
    assert states(dataset, [(0, 0, 0, z) for z in range(4)]) == [PRESENT, FILLED, PRESENT, FILLED]


# ---- references ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "fill", "written"),
    [("<u2", 777, 777), (">u2", 777, 777), ("<f4", np.nan, "NaN"), ("<u2", 7, "7"), ("|u1", 0, None)],
)
def test_references(tmp_path, opened, dtype, fill, written):
    pixels = stack(dtype, fill)
    writer = ReferenceWriter(tmp_path)
    writer.add("data", pixels, (1, 12, 40), fill_value=written, skip=lambda at: at[0] in (2, 7))
    assert_is_all_there(opened(writer.write()), pixels)


def test_references_to_what_kerchunk_finds_in_hdf5(tmp_path, opened):
    kerchunk_hdf = pytest.importorskip("kerchunk.hdf")
    pixels = stack("u2", 777)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("a", pixels.shape, "u2", fillvalue=777, chunks=(1, *SIZE))
        for z in (0, 1, 3, 4, 5, 6):
            data[z] = pixels[z]
    found = kerchunk_hdf.SingleHdf5ToZarr(str(tmp_path / "a.h5")).translate()
    (tmp_path / "refs.json").write_text(json.dumps(found))
    assert_is_all_there(opened(tmp_path / "refs.json"), pixels)


# ---- what changes on disk ------------------------------------------------------------------------


def test_the_newest_change_is_found_at_any_depth(tmp_path):
    folder = tmp_path / "c"
    for t, z in itertools.product(range(300), range(2)):
        (folder / str(t) / str(z)).mkdir(parents=True)
    before = activity.newest_change(str(folder))
    assert before
    (folder / "299/1/0").write_bytes(b"1")
    os.utime(folder / "299/1", ns=(before + 10**9, before + 10**9))
    assert activity.newest_change(str(folder)) == before + 10**9
    assert (
        activity.newest_change(str(tmp_path / "nothing"))
        == activity.newest_write(str(tmp_path / "nothing"))
        == 0
    )


def test_what_is_removed_is_no_write(tmp_path):
    for t in range(3):
        (tmp_path / str(t)).mkdir()
        (tmp_path / str(t) / "0").write_bytes(b"1")
        os.utime(tmp_path / str(t) / "0", ns=(10**18 + t, 10**18 + t))
        os.utime(tmp_path / str(t), ns=(10**18 + t, 10**18 + t))
    assert activity.newest_write(str(tmp_path)) == 10**18 + 2
    watched = activity.Activity(lambda: activity.newest_write(str(tmp_path)))
    (tmp_path / "1" / "0").unlink()
    assert activity.newest_change(str(tmp_path)) > 10**18 + 2
    assert not watched.is_on()
    (tmp_path / "2" / "1").write_bytes(b"1")
    assert watched.is_on()
