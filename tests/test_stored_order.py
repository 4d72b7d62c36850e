"""Planes stored column by column, as by Squid: displayed as they lie in memory; scripts get C order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores

from ndviewer_light import open_dataset
from ndviewer_light.engine.owned_pixels import owned
from ndviewer_light.engine.projections import PROJECTIONS
from ndviewer_light.engine.transpose import is_transposed
from ndviewer_light.model import PlaneKey
from ndviewer_light.rendering.contrast import contrast_of
from ndviewer_light.rendering.saturation_picture import saturated_pixels
from ndviewer_light.sources.statistics_of_pixels import statistics_of
from ndviewer_light.storage.freed_memory import are_same, array_of_its_own, has_memory_of_its_own

if TYPE_CHECKING:
    from pathlib import Path

LARGE = {"y": 700, "x": 900}
"""Large enough for memory of its own."""


def image(folder: Path, preset: str | None, **sizes: int) -> Path:
    stores.write_image(folder / "image", preset=preset, sizes=sizes)
    return folder / "image"


@pytest.mark.parametrize("isolate", [False, True])
def test_scripts_get_c_order_whatever_is_displayed(tmp_path: Path, isolate: bool) -> None:
    path = image(tmp_path, "fast", z=3, **LARGE)
    wanted = stores.plane(1, 0, 1, 2, (700, 900))
    with open_dataset(path, isolate=isolate) as ds:
        for is_displayed in (False, True):
            if is_displayed:
                ds.keep_stored_order()
                ds.refresh()
            (plane,) = ds.planes([PlaneKey(1, 0, 1, 2)], wait=None)
            assert is_transposed(plane.pixels) is is_displayed
            np.testing.assert_array_equal(plane.pixels, wanted)
            given = [
                ds.plane(1, 0, 1, 2),
                *ds.read_planes([(1, 0, 1, 2)]),
                ds.plane(1, 0, 1, 2, region=(0, 0, 700, 900)),
            ]
            given.append(ds.plane(1, 0, 1, 2, region=(3, 5, 640, 830)))
            for pixels in given:
                assert pixels.flags.c_contiguous
                assert not pixels.flags.writeable
                np.testing.assert_array_equal(
                    pixels, wanted if pixels.shape == (700, 900) else wanted[3:643, 5:835]
                )


def test_planes_that_are_displayed_cross_the_pipe_as_they_are_stored_and_are_not_copied_again(
    tmp_path: Path,
) -> None:
    path = image(tmp_path, "fast", **LARGE)
    with open_dataset(path, isolate=True) as ds:
        ds.keep_stored_order()
        (plane,) = ds.planes([PlaneKey()], wait=None)
        assert is_transposed(plane.pixels)
        assert not plane.pixels.flags.writeable
        assert has_memory_of_its_own(plane.pixels) or not has_memory_of_its_own(
            array_of_its_own((700, 900), np.dtype("u2"))
        )
        (again,) = ds.planes([PlaneKey()], wait=None)
        assert again.pixels is plane.pixels


def test_planes_in_c_order_stay_as_they_are(tmp_path: Path) -> None:
    with open_dataset(image(tmp_path, None, **LARGE), isolate=True) as ds:
        ds.keep_stored_order()
        (plane,) = ds.planes([PlaneKey()], wait=None)
        assert plane.pixels.flags.c_contiguous
        assert ds.plane() is plane.pixels


def test_stacks_are_the_same_in_either_order(tmp_path: Path) -> None:
    path = image(tmp_path, "fast", z=4, **LARGE)
    found: list[list[Any]] = []
    for is_displayed in (False, True):
        with open_dataset(path, isolate=True) as ds:
            if is_displayed:
                ds.keep_stored_order()
            keys = [PlaneKey(z=z) for z in range(4)]
            made = [ds.projections([keys], how, wait=20)[0].plane.pixels for how in PROJECTIONS]
            seen = ds.stack(ds.stack_grid(0, 0, 1), [0], wait=20)
            found.append([*made, seen.pixels[0]])
    for in_c_order, as_stored in zip(*found, strict=True):
        assert in_c_order.dtype == as_stored.dtype
        np.testing.assert_array_equal(in_c_order, as_stored)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "?"])
def test_what_is_said_of_a_plane_does_not_depend_on_its_order(dtype: str) -> None:
    pixels = stores.plane(shape=(700, 900)).astype(dtype)
    if dtype == "u2":
        pixels[3, 5] = 65535
    turned = np.asfortranarray(pixels)
    one, other = contrast_of(pixels), contrast_of(turned)
    assert (one.windows, one.range, one.span, one.n_top, one.n) == (
        other.windows,
        other.range,
        other.span,
        other.n_top,
        other.n,
    )
    np.testing.assert_array_equal(one.counts, other.counts)
    assert statistics_of(pixels) == statistics_of(turned)
    top = pixels.max().item()
    np.testing.assert_array_equal(saturated_pixels([(pixels, top)]), saturated_pixels([(turned, top)]))


def test_planes_are_compared_in_any_order() -> None:
    pixels = stores.plane(shape=(130, 90))
    turned, changed = np.asfortranarray(pixels), np.asfortranarray(pixels)
    changed[100, 50] += 1
    assert are_same(pixels, turned)
    assert are_same(turned, turned.copy(order="K"))
    assert not are_same(turned, changed)
    assert not are_same(pixels, changed)


def test_a_turned_plane_owns_its_memory_as_any_other() -> None:
    pixels = array_of_its_own((900, 700), np.dtype("u2")).T
    assert owned(pixels) is pixels
    assert not pixels.flags.writeable
    part = array_of_its_own((900, 700), np.dtype("u2"))[:450].T
    assert owned(part) is not part, "twice as much would be kept alive by it"
    assert is_transposed(owned(part))


@pytest.mark.parametrize(
    "data", [bytes(32), bytearray(32), memoryview(bytes(32))], ids=lambda each: type(each).__name__
)
def test_pixels_made_of_bytes_have_no_memory_of_their_own(data):
    pixels = np.ndarray((4, 4), np.uint16, data)
    assert not has_memory_of_its_own(pixels)
    assert np.array_equal(owned(pixels), pixels)
