"""Planes of many images that are read at once are those that are read one by one, or left to that."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import image_stores
import numpy as np
import pytest
import stores
from image_stores import Made

from ndviewer_light import open_dataset
from ndviewer_light.errors import UntrustedReferenceError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources.zarr import small_planes
from ndviewer_light.sources.zarr.tensorstore_context import TensorStoreContext
from ndviewer_light.storage import opened_without_links
from ndviewer_light.storage.limits import read_versioned_file
from ndviewer_light.storage.trees import recording

if TYPE_CHECKING:
    from collections.abc import Iterable

WELLS = {"A/1": 2, "B/2": 1}
KEYS = [PlaneKey(t, p, c, z) for p in range(3) for t, c, z in ((0, 0, 0), (1, 1, 1))]


def together(path: Path, keys: Iterable[PlaneKey] = KEYS, edge: int = 8) -> list[Any]:
    """For each plane its pixels, level and those read alone; None for what is left to that."""
    with open_dataset(path) as ds:
        found = ds.source.small_planes(list(keys), edge)
        read = iter(ds.source.read_small_planes([each for each in found if each is not None], np.copy))
        answers: list[Any] = []
        for key, plane in zip(keys, found, strict=True):
            pixels = None if plane is None else next(read)
            if plane is None or pixels is None:
                answers.append(None)
                continue
            assert pixels.shape == plane.shape
            answers.append((pixels, plane.level, ds.source.read_plane(key, plane.level)))
        return answers


def are_same(answers: Iterable[Any]) -> bool:
    return all(each is not None and np.array_equal(each[0], each[2]) for each in answers)


@pytest.fixture(params=["decoded here", "by tensorstore"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Which arrays were opened for small planes: none where the codecs of planes of one chunk are known."""
    arrays: list[object] = []
    begin = TensorStoreContext.begin_open

    def note(native: TensorStoreContext, image: Any, metadata: Any) -> Any:
        arrays.append(image.array)
        return begin(native, image, metadata)

    monkeypatch.setattr(TensorStoreContext, "begin_open", note)
    if request.param == "by tensorstore":
        monkeypatch.setattr(small_planes, "_decoder_of", lambda image: None)
    return arrays


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"preset": None},
        {"version": 2},
        {"version": 2, "preset": None},
        {"preset": "best", "tile": 20},
        {"dtype": "float32"},
        {"axes": "tczxy"},
    ],
    ids=lambda how: " ".join(f"{name}={value}" for name, value in how.items()) or "plain",
)
def test_what_is_read_together_is_what_is_read_alone(
    tmp_path: Path, how: dict[str, Any], opened: list[object], request: pytest.FixtureRequest
) -> None:
    stores.write_plate(tmp_path / "p.zarr", WELLS, **how)
    answers = together(tmp_path / "p.zarr")
    assert are_same(answers)
    is_decoded = "decoded here" in request.node.callspec.id and "tile" not in how
    assert len(opened) == (0 if is_decoded else len(KEYS))
    sizes = stores.HEIGHT, stores.WIDTH
    for key, (pixels, _, _) in zip(KEYS, answers, strict=True):
        expected = stores.plane(key.t, key.p, key.c, key.z, sizes)
        assert np.array_equal(pixels, expected)


@stores.needs_zarr_3
@pytest.mark.parametrize("version", [2, 3])
def test_images_of_other_sizes_channels_and_levels_are_read_at_the_level_that_fits(
    tmp_path: Path, version: int
) -> None:
    def made(seed: int, size: int, names: str) -> Made:
        pixels = image_stores.pixels(1, len(names), 4, size, size, seed=seed)
        levels = [pixels, image_stores.halved(pixels), image_stores.halved(pixels, 4, 4, 4)]
        scales = [(1.0, float(n), float(n)) for n in (1, 2, 4)]
        scales = [(float(n), n * 0.5, n * 0.5) for n in (1, 2, 4)]
        return Made(levels, list(names), scales, version=version)

    fields = {"A/1": [made(0, 64, "ab"), made(1, 96, "ab")], "A/2": [made(2, 64, "ba")]}
    image_stores.write_plate(tmp_path / "p.zarr", fields)
    with open_dataset(tmp_path / "p.zarr") as ds:
        ds.look_at_all()
        keys = [PlaneKey(0, p, c, z) for p in range(3) for c in range(2) for z in range(4)]
        for edge, levels in ((16, (2, 2, 2)), (30, (1, 1, 1)), (33, (0, 1, 0))):
            found = ds.source.small_planes(keys, edge)
            assert [each.level for each in found if each] == [levels[key.p] for key in keys]
            for key, plane, pixels in zip(
                keys, found, ds.source.read_small_planes(found, np.copy), strict=True
            ):
                z = key.z // 2**plane.level
                assert np.array_equal(pixels, ds.source.read_plane(key._replace(z=z), plane.level))


def test_what_is_not_stored_or_damaged_is_left_to_whoever_says_why(
    tmp_path: Path, opened: list[object]
) -> None:
    path = tmp_path / "p.zarr"
    stores.write_plate(path, WELLS)
    for chunk in stores.chunk_files(path / "A" / "1" / "1"):
        chunk.unlink()
    for chunk in stores.chunk_files(path / "B" / "2" / "0"):
        chunk.write_bytes(b"\2\1\x21\2" + b"\xff" * 60)  # of blosc only the beginning
    stores.make_old(path)
    answers = together(path)
    assert [each is not None for each in answers] == [True, True, False, False, False, False]
    assert are_same(answers[:2])
    with open_dataset(path) as ds:
        states = [each.state for each in ds.thumbnails([(0, p, 0, 0) for p in range(3)], 8)]
    assert states == [PlaneState.PRESENT, PlaneState.ABSENT, PlaneState.UNREADABLE]


def test_planes_that_share_chunks_and_indices_that_are_not_there_are_left(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "p.zarr", WELLS, shard_channels=True, preset="best")
    assert together(tmp_path / "p.zarr") == [None] * len(KEYS)
    stores.write_plate(tmp_path / "q.zarr", WELLS)
    outside = [PlaneKey(2), PlaneKey(0, 3), PlaneKey(0, 0, 2), PlaneKey(0, 0, 0, 2), PlaneKey(0, -1)]
    assert together(tmp_path / "q.zarr", outside) == [None] * len(outside)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
@pytest.mark.parametrize("preset", ["fast", None])
def test_links_that_lead_out_are_not_followed(tmp_path: Path, preset: str | None) -> None:
    path, outside = tmp_path / "p.zarr", tmp_path / "q.zarr"
    stores.write_plate(path, WELLS, preset=preset)
    stores.write_plate(outside, WELLS, preset=preset)
    for there in ("A/1/1/0/c", "B/2/0/0/zarr.json"):  # a folder of chunks, a metadata file
        Path(path, there).rename(tmp_path / Path(there).name)
        Path(path, there).symlink_to(Path(outside, there))
    answers = together(path)
    assert [each is not None for each in answers] == [True, True, False, False, False, False]
    with open_dataset(path) as ds, pytest.raises(UntrustedReferenceError):
        ds.source.read_plane(PlaneKey(0, 1, 0, 0))


def test_images_alike_but_for_their_place_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "m.zarr"
    stores.write_collection(path, 4)
    moved = json.loads(Path(path, "0", "zarr.json").read_text())
    for p in range(4):
        (dataset,) = moved["attributes"]["ome"]["multiscales"][0]["datasets"]
        dataset["coordinateTransformations"][1:] = [
            {"type": "translation", "translation": [0.0, 0.0, 0.0, 10.0 * p, 5.0 * p]}
        ]
        moved["attributes"]["ome"]["omero"]["channels"][0]["label"] = "first" if p < 3 else "other"
        Path(path, str(p), "zarr.json").write_text(json.dumps(moved))
    with open_dataset(path) as ds:
        info = ds.look_at_all()
        assert [(each.x_um, each.y_um) for each in info.positions] == [(5.0 * p, 10.0 * p) for p in range(4)]
        assert [info.image(p).channels[0].name for p in range(4)] == ["first"] * 3 + ["other"]
        assert ds.source.info is info  # the second time nothing is new
        ds.source.small_planes([PlaneKey(0, p) for p in range(4)], 8)
        assert ds.source.info.positions == info.positions


def test_all_that_was_looked_at_is_told_also_what_others_have_read_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ndviewer_light.sources.zarr.positions.FEW", 2)
    path = tmp_path / "m.zarr"
    stores.write_collection(path, 4)
    for p in range(4):
        said = json.loads(Path(path, str(p), "zarr.json").read_text())
        (dataset,) = said["attributes"]["ome"]["multiscales"][0]["datasets"]
        move = {"type": "translation", "translation": [0.0, 0.0, 0.0, 10.0 * p, 5.0 * p]}
        dataset["coordinateTransformations"].append(move)
        Path(path, str(p), "zarr.json").write_text(json.dumps(said))
    with open_dataset(path) as ds:
        ds.source.small_planes([PlaneKey(0, 1), PlaneKey(0, 2)], 8)
        assert [each.x_um for each in ds.look_at_all().positions] == [5.0 * p for p in range(4)]


def test_an_image_that_is_written_anew_is_read_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    stores.write_plate(path, WELLS)
    with open_dataset(path) as ds:
        (before,) = ds.source.small_planes([PlaneKey(0, 1)], 8)
        shutil.rmtree(path / "A" / "1" / "1")
        stores.write_image(path / "A" / "1" / "1", p=1, sizes={"t": 3}, preset=None)
        (after,) = ds.source.small_planes([PlaneKey(2, 1)], 8)
        (pixels,) = ds.source.read_small_planes([after], np.copy)
        assert before is not None
        assert np.array_equal(pixels, stores.plane(2, 1))
        assert ds.source.info.image(1).n_t == 3


def test_each_file_is_read_once_for_all_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "i.zarr"
    stores.write_pyramid(path)
    read: list[str] = []

    def noted(name: str, *checks: Any) -> Any:
        read.append(os.path.relpath(name, path))
        return read_versioned_file(name, *checks)

    with open_dataset(path) as ds:
        keys = [PlaneKey(0, 0, 0, 0)]
        assert ds.source.small_planes(keys, 8)[0] is not None
        monkeypatch.setattr(recording, "read_versioned_file", noted)
        plane = ds.source.small_planes(keys, 8)[0]
        assert plane is not None and plane.level == 1
    assert sorted(read) == ["0/zarr.json", "1/zarr.json", "zarr.json"]


def test_folders_are_looked_at_once_for_the_metadata_and_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.ome.zarr"
    stores.write_plate(path, {"A/1": 3})
    looked_at: list[str] = []

    def lstat(name: str, **more: Any) -> os.stat_result:
        looked_at.append(os.path.relpath(name, path))
        return status_of(name, **more)

    with open_dataset(path) as ds:
        monkeypatch.setattr(opened_without_links, "_is_known_not_to_work", True)  # as on other systems
        status_of = os.lstat
        monkeypatch.setattr(os, "lstat", lstat)
        planes = ds.source.small_planes([PlaneKey(p=p) for p in range(3)], 8)
        assert looked_at and all(planes)
        found = ds.source.read_small_planes([each for each in planes if each is not None], np.copy)
    assert all(np.array_equal(pixels, stores.plane(p=p)) for p, pixels in enumerate(found))
    twice = {name for name in looked_at if looked_at.count(name) > 1}
    assert not twice and {"A/1/0", "A/1/2"} <= set(looked_at)
