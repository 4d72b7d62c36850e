"""What crosses the pipe to the reader process, and planes in shared memory."""

from __future__ import annotations

import io
import os
import struct
import sys
from dataclasses import replace

import numpy as np
import pytest
from memory_source import memory_info

from ndviewer_light import errors
from ndviewer_light.isolation import protocol as wire
from ndviewer_light.isolation.shared_memory import MAX_PLANE_BYTES, MappedSlot, OwnedSlot
from ndviewer_light.model import AnnouncedRun, Channel, ImageInfo, Position

# ---- what crosses the pipe -------------------------------------------------------------------------


def across(message: dict) -> dict:
    """The message as it comes out at the other end."""
    stream = io.BytesIO()
    wire.send(stream, message)
    stream.seek(0)
    received = wire.receive(stream)
    assert received is not None
    assert stream.read() == b""
    return received


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(memory_info(), id="small"),
        pytest.param(memory_info(n_p=0, n_c=0), id="nothing in it"),
        pytest.param(memory_info(dtype=None, complete=False, warnings=("a", "b")), id="nothing written"),
        pytest.param(memory_info(dtype=np.dtype(">u2")), id="big-endian"),
        pytest.param(memory_info(dtype=np.dtype("c16"), time_step_s=2.5, z_step_um=0.1), id="complex"),
        pytest.param(
            memory_info(
                positions=(Position("Ä1", 0, 1.5, None, -3.0), Position("\udcff", 7)),
                channels=(Channel("α", "#123456", 488.0, 520.0, (0.0, 1.5)), Channel("")),
            ),
            id="names of all kinds",
        ),
        pytest.param(
            memory_info(n_t=np.int64(4), pixel_size_x_um=np.float64(0.325), pixel_size_y_um=np.float32(0.5)),
            id="numpy numbers",
        ),
        pytest.param(
            memory_info(n_p=4)
            .with_image(
                1, ImageInfo((Channel("Cy5", window=(1, 2)),), 1, 2, 9, 8, np.dtype("u1"), times=(3,))
            )
            .with_image(
                3, ImageInfo((Channel("Cy5", window=(1, 2)),), 1, 2, 9, 8, np.dtype("u1"), times=(3,))
            ),
            id="positions that differ",
        ),
        pytest.param(
            memory_info(n_p=4).with_images({2: replace(memory_info().image(0), width=9)}, assumed=True),
            id="a position of which metadata tells",
        ),
    ],
)
def test_what_is_known_of_a_dataset_crosses_the_pipe_unchanged(info):
    assert wire.info_from_json(across(wire.info_to_json(info))) == info


def test_the_same_region_of_many_positions_is_one_text_in_memory():
    positions = tuple(Position(f"A{i // 25}", i % 25, float(i), name=f"{i % 25:04}") for i in range(100))
    info = wire.info_from_json(across(wire.info_to_json(replace(memory_info(), positions=positions))))
    assert info.positions == positions
    assert len({id(position.region) for position in info.positions}) == 4
    assert len({id(position.name) for position in info.positions}) == 25


def test_positions_cross_the_pipe_once():
    known: tuple[Position, ...] = ()
    before = None
    named = [memory_info(n_p=n, n_t=t) for n, t in ((2, 1), (2, 2), (5, 2), (1, 2), (3, 2))]
    others = replace(named[-1], positions=tuple(Position("B7", i) for i in range(4)))
    for info, n_sent in zip((*named, others), (2, 0, 3, 1, 2, 4), strict=True):
        message = across(wire.info_to_json(info, before))
        assert len(next(iter(message["positions"]), ())) == n_sent
        whole = wire.with_known_positions(message, known)
        assert wire.info_from_json(whole) == info
        known, before = whole["positions"], info
    with pytest.raises(ValueError, match="positions are said to be known"):
        wire.with_known_positions(across(wire.info_to_json(others, others)), ())


RUN = AnnouncedRun(
    positions=(Position("A1", 0), Position("A1", 1)),
    paths=("/data/a.zarr", "/data/b.zarr"),
    indices=(None, 1),
    channels=("BF", "488"),
    n_z=3,
    height=20,
    width=30,
)


@pytest.mark.parametrize("what", ["/data/plate.ome.zarr", RUN], ids=["path", "run"])
def test_what_to_open_crosses_the_pipe_unchanged(what):
    assert wire.what_from_json(across(wire.what_to_json(what))) == what


@pytest.mark.parametrize("cls", sorted(errors.BY_NAME.values(), key=lambda cls: cls.__name__))
def test_errors_keep_class_and_text_across_the_pipe(cls):
    error = wire.error_from_json(across(wire.error_to_json(cls("/data/a.zarr/zarr.json: no 'shape'"))))
    assert type(error) is cls
    assert str(error) == "/data/a.zarr/zarr.json: no 'shape'"


@pytest.mark.parametrize("shape", [None, (20, 30)], ids=str)
def test_a_plane_that_is_not_stored_tells_its_shape_across_the_pipe(shape):
    error = errors.PlaneNotStoredError("nothing there")
    error.plane_shape = shape
    assert wire.error_from_json(across(wire.error_to_json(error))).plane_shape == shape


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (IndexError("t = 5"), (IndexError, "t = 5")),
        (KeyError("x"), (errors.DatasetError, "KeyError: 'x'")),
        (MemoryError(), (errors.DatasetError, "MemoryError: ")),
    ],
    ids=repr,
)
def test_errors_that_are_not_ours_become_a_dataset_error(raised, expected):
    error = wire.error_from_json(across(wire.error_to_json(raised)))
    assert (type(error), str(error)) == expected


@pytest.mark.parametrize("name", ["SystemExit", "os.system", "", "NoSuchError"])
def test_an_error_of_an_unknown_name_is_a_dataset_error(name):
    assert type(wire.error_from_json({"name": name, "text": "x"})) is errors.DatasetError


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0\0", id="half a length"),
        pytest.param(struct.pack(">I", 9) + b"{}", id="half a message"),
        pytest.param(struct.pack(">I", wire.MAX_MESSAGE_BYTES + 1), id="more than any message"),
        pytest.param(b"Segmentation fault (core dumped)\n", id="a library that prints"),
        pytest.param(struct.pack(">I", 7) + b"not JSON", id="no JSON"),
        pytest.param(struct.pack(">I", 2) + b"\xff\xfe", id="no text"),
        pytest.param(struct.pack(">I", 2) + b"[]", id="no message"),
        pytest.param(struct.pack(">I", 200_000) + b"[" * 200_000, id="too deep"),
    ],
)
def test_what_is_no_message_is_the_end_of_the_conversation(said):
    assert wire.receive(io.BytesIO(said)) is None


def test_messages_follow_each_other():
    stream = io.BytesIO()
    for number in range(3):
        wire.send(stream, {"id": number, "text": "ü" * number})
    stream.seek(0)
    received = iter(lambda: wire.receive(stream), None)
    assert [message["text"] for message in received] == ["", "ü", "üü"]


# ---- planes in shared memory -----------------------------------------------------------------------


@pytest.fixture(params=["mapped", "read"])
def slot(request, monkeypatch):
    if request.param == "read":  # as on systems that promise nothing of a file's size
        monkeypatch.setattr("ndviewer_light.isolation.shared_memory._never_shrinks", lambda _fd: False)
    owned = OwnedSlot()
    yield owned, MappedSlot(os.dup(owned.address) if isinstance(owned.address, int) else owned.address)
    owned.close()


@pytest.fixture
def mapped_and_owned(slot):
    owned, mapped = slot
    yield mapped, owned
    if mapped._map is not None:
        mapped._map.close()
    os.close(mapped._fd)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "f4", "c16", "?"])
def test_a_plane_put_into_a_slot_comes_out_of_it(mapped_and_owned, dtype):
    mapped, owned = mapped_and_owned
    pixels = np.arange(6).reshape(2, 3).astype(dtype)
    mapped.array((2, 3), np.dtype(dtype))[:] = pixels
    mapped.flush()
    for wanted, transposed in ((pixels, False), (pixels.T, True)):
        out = owned.copy_out((2, 3), np.dtype(dtype), transposed=transposed)
        np.testing.assert_array_equal(out, wanted)
        assert out.flags.owndata
        assert out.flags.c_contiguous
        assert out.dtype == pixels.dtype


def test_planes_of_any_size_follow_each_other_in_one_slot(mapped_and_owned):
    mapped, owned = mapped_and_owned
    for number, side in enumerate([3, 500, 1, 0, 1000, 2]):
        mapped.array((side, side), np.dtype("u2"))[:] = number
        mapped.flush()
        out = owned.copy_out((side, side), np.dtype("u2"))
        assert out.shape == (side, side)
        assert (out == number).all()


def test_a_slot_with_less_than_announced_is_an_error(mapped_and_owned):
    mapped, owned = mapped_and_owned
    mapped.array((2, 2), np.dtype("u1"))[:] = 1
    with pytest.raises(OSError, match=r"96 of \d+ bytes are missing"):
        owned.copy_out((10, 10), np.dtype("u1"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no seals here")
def test_a_reader_cannot_take_away_memory_that_the_viewer_sees(slot):
    owned, mapped = slot
    if not owned._can_be_mapped:
        return
    mapped.array((10, 10), np.dtype("u1"))[:] = 1
    with pytest.raises(PermissionError):
        os.ftruncate(mapped._fd, 10)
    assert (owned.copy_out((10, 10), np.dtype("u1")) == 1).all()


def test_a_plane_larger_than_any_plane_is_refused_on_both_sides(mapped_and_owned):
    mapped, owned = mapped_and_owned
    shape = (MAX_PLANE_BYTES // 2 + 1, 1)
    for refusing in (mapped.array, owned.copy_out):
        with pytest.raises(errors.LimitExceededError, match=str(MAX_PLANE_BYTES)):
            refusing(shape, np.dtype("u2"))
