"""Files that hosts name: what follows a rule is not kept, what does not is."""

from __future__ import annotations

import threading

import pytest

from ndviewer_light.live.acquisition import announce_files
from ndviewer_light.live.registered_files import RegisteredFiles
from ndviewer_light.model import PlaneKey

CHANNELS = ["BF LED matrix full", "Fluorescence 488 nm Ex"]
ENDS = ("BF_LED_matrix_full.tiff", "Fluorescence_488_nm_Ex.tiff")
FOVS = (("A1", 0), ("A1", 1), ("my_region", 0))


def registry() -> RegisteredFiles:
    labels = [f"{region}:{fov}" for region, fov in FOVS]
    return RegisteredFiles(announce_files(CHANNELS, 12, 64, 64, labels))


def squid_path(t: int, p: int, c: int, z: int, width: int = 0) -> str:
    region, fov = FOVS[p]
    return f"/data/exp/{t:0{width}d}/{region}_{fov:0{width}d}_{z:0{width}d}_{ENDS[c]}"


def every_plane(n_t: int = 3):
    return [(t, p, c, z) for t in range(n_t) for p in range(3) for z in range(12) for c in range(2)]


@pytest.mark.parametrize("width", [0, 3])
def test_every_file_registered_is_found_again_and_none_is_kept(width):
    files = registry()
    for t, p, c, z in every_plane():
        files.register((t, p, c, z), squid_path(t, p, c, z, width))
    assert files.folder == "/data/exp"
    assert files.n_t == 3
    for plane in every_plane():
        t, p, c, z = plane
        assert files.file_of(PlaneKey(t, p, c, z)) == (squid_path(*plane, width), 0)
    assert not files._exceptions


def test_files_not_registered_yet_are_expected_where_the_rule_has_them():
    files = registry()
    assert files.file_of(PlaneKey()) is None
    files.register((0, 0, 0, 0), squid_path(0, 0, 0, 0))
    assert files.file_of(PlaneKey(7, 2, 0, 11)) == (squid_path(7, 2, 0, 11), 0)
    assert files.file_of(PlaneKey(0, 0, 1, 0)) is None, "how the other channel is called is not known yet"


def test_what_follows_no_rule_is_kept_as_it_was_said():
    files = registry()
    files.register((0, 0, 0, 0), "/data/exp/img_0001.tif", 4)
    files.register((0, 0, 0, 1), "/data/exp/img_0001.tif", 5)
    files.register((0, 1, 0, 0), "/data/exp/img_0002.tif")
    assert files.folder == "/data/exp"
    assert files.file_of(PlaneKey(0, 0, 0, 1)) == ("/data/exp/img_0001.tif", 5)
    assert files.file_of(PlaneKey(0, 1, 0, 0)) == ("/data/exp/img_0002.tif", 0)
    assert files.file_of(PlaneKey(0, 2, 0, 0)) is None


def test_the_last_registration_of_a_plane_counts():
    files = registry()
    files.register((0, 0, 0, 0), squid_path(0, 0, 0, 0))
    files.register((0, 0, 0, 0), "/data/exp/0/another.tiff")
    assert files.file_of(PlaneKey()) == ("/data/exp/0/another.tiff", 0)
    files.register((0, 0, 0, 0), squid_path(0, 0, 0, 0), 2)
    assert files.file_of(PlaneKey()) == (squid_path(0, 0, 0, 0), 2)
    files.register((0, 0, 0, 0), squid_path(0, 0, 0, 0))
    assert files.file_of(PlaneKey()) == (squid_path(0, 0, 0, 0), 0)


def test_a_first_file_of_another_name_does_not_spoil_the_rule():
    files = registry()
    files.register((0, 0, 0, 0), "/data/exp/0/focus.tiff")
    for t, p, c, z in every_plane():
        files.register((t, p, c, z), squid_path(t, p, c, z))
    assert all(files.file_of(PlaneKey(*plane)) == (squid_path(*plane), 0) for plane in every_plane())
    assert not files._exceptions


def test_registering_from_many_threads_loses_nothing():
    files = registry()
    planes = every_plane(40)

    def register(first: int) -> None:
        for t, p, c, z in planes[first::8]:
            files.register((t, p, c, z), squid_path(t, p, c, z))

    threads = [threading.Thread(target=register, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(files.file_of(PlaneKey(*plane)) == (squid_path(*plane), 0) for plane in planes)
    assert len(files._exceptions) < 16  # only what came while the rule was being learnt
    assert files.n_t == 40
