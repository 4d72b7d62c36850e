"""Any dataset that zarr-python writes is read as zarr-python reads it, in every way out.

Random positions, sizes, dtypes, fill values, chunks, shards, pyramids and missing chunks; planes, levels,
regions, lazy arrays, and what the canvas gets: a plane at the level that fits, or a volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import image_stores
import numpy as np
import pytest
import stores
import written
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from image_stores import Made
from uploads import uploaded

from ndviewer_light.engine import regions, to_xarray
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneState, Region
from ndviewer_light.opening import open_dataset
from ndviewer_light.storage import tiling

pytest.importorskip("ndv")
from ndviewer_light.gui.canvas import volume_reading
from ndviewer_light.gui.canvas.canvas_view import View
from ndviewer_light.gui.canvas.texture_values import shown_pixels
from ndviewer_light.gui.canvas.view_arrays import ViewArrays

pytestmark = stores.needs_zarr_3


if TYPE_CHECKING:
    from pathlib import Path

    from written import WrittenImage

    from ndviewer_light.engine.dataset import Dataset

DTYPES = [("u1", 0), ("u2", 0), ("u2", 7), ("i2", -1), ("f4", np.nan), ("bool", False), ("c8", 0)]


# ---- datasets ------------------------------------------------------------------------------------


@st.composite
def images(draw: st.DrawFn, version: int) -> Made:
    sizes = tuple(draw(st.integers(1, most)) for most in (2, 2, 5, 20, 20))
    dtype, fill = draw(st.sampled_from([*DTYPES, (">u2", 7)] if version == 2 else DTYPES))
    numbers = np.random.default_rng(draw(st.integers(0, 99))).integers(10, 250, sizes)
    level_0 = numbers.astype(dtype)
    levels, scales, spans = [level_0], [(2.0, 0.5, 0.25)], (1, 1, 1)
    for _ in range(draw(st.integers(0, 2))):
        step = (draw(st.integers(1, 3)), *[draw(st.sampled_from([2, 3]))] * 2)
        spans = tuple(a * b for a, b in zip(spans, step, strict=True))
        counts = [
            -(-n // span) if draw(st.booleans()) else max(n // span, 1)
            for n, span in zip(sizes[2:], spans, strict=True)
        ]
        z, y, x = (slice(0, count * span, span) for count, span in zip(counts, spans, strict=True))
        levels.append(level_0[..., z, y, x])
        scales.append(tuple(a * b for a, b in zip(scales[0], spans, strict=True)))
    complete, is_said = draw(st.sampled_from([None, True, False])), draw(st.booleans())
    return Made(
        levels,
        ("A", "B")[: sizes[1]],
        scales if is_said else (),
        translations=[
            (-4.0, 3.0 + (scale[1] - 0.5) * draw(st.sampled_from([0, 0.5, 1])), 0.125 * i)
            for i, scale in enumerate(scales if is_said else ())
        ],
        chunks=(
            1,
            draw(st.integers(1, 2)),
            draw(st.integers(1, 2)),
            *draw(st.sampled_from([(20, 20), (6, 7)])),
        ),
        shards=draw(st.sampled_from([None, (1, 1, 1, 2, 2), (2, 1, 2, 1, 2)])) if version == 3 else None,
        fill=fill,
        version=version,
        more={} if complete is None else {"_squid": {"acquisition_complete": complete}},
    )


@st.composite
def datasets(draw: st.DrawFn) -> list[Made]:
    version = draw(st.sampled_from([2, 3]))
    return draw(st.lists(images(version), min_size=1, max_size=2))


def write(path: Path, made: list[Made]) -> None:
    if len(made) == 1:
        image_stores.write(path, made[0])
    else:
        image_stores.write_plate(path, {"A/1": made[:1], "B/2": made[1:]})


@dataclass
class Known:
    """One image as zarr-python reads it, and as it was meant."""

    made: Made
    image: WrittenImage

    def __post_init__(self) -> None:
        self.pixels = [self.image.pixels(level) for level in range(len(self.made.levels))]
        self.stored = [self.image.stored(level) for level in range(len(self.made.levels))]

    def scale(self, level: int) -> tuple[float, ...]:
        """Voxels of level 0 that one of a level spans along z, y and x: as said, else by the sizes."""
        if self.made.scales:
            pairs = zip(self.made.scales[level], self.made.scales[0], strict=True)
            return tuple(step / first for step, first in pairs)
        pairs = zip(self.image.sizes(), self.image.sizes(level), strict=True)
        return tuple(by_size(whole, part) for whole, part in pairs)

    def along(self, axis: int, level: int) -> np.ndarray:
        """Where the voxels of a level are along z, y or x: in µm from the first of level 0, or indices."""
        indices, made = np.arange(self.image.sizes(level)[axis]), self.made
        if not made.scales:
            return indices
        offset = made.translations[level][axis] - made.translations[0][axis]
        return indices * made.scales[level][axis] + offset

    def z_at(self, z: int, level: int) -> int:
        """The plane of a level in which the middle of a plane of level 0 is; levels are said to be placed."""
        scale = self.scale(level)[0]
        begins = (1 - scale) / 2 if self.made.scales else 0.0
        return min(math.floor((z + 0.5 - begins) / scale), self.image.size("z", level) - 1)

    def state(self, t: int, c: int, z: int, level: int) -> PlaneState:
        """By the rule of what nothing is stored of."""
        stored = self.stored[level]
        if stored[t, c, z]:
            return PlaneState.PRESENT
        complete = self.made.more.get("_squid", {}).get("acquisition_complete")
        counts = stored[t:, c:, z:].any() or stored[t].any() if complete is None else complete
        return PlaneState.FILLED if counts else PlaneState.ABSENT


def by_size(whole: int, part: int) -> float:
    """The integer that explains how many samples are left, rounded up or down; else the ratio."""
    near = round(whole / part)
    return near if part in (whole // near, -(-whole // near)) else whole / part


# ---- ways out ------------------------------------------------------------------------------------


def check_planes(dataset: Dataset, p: int, known: Known) -> None:
    for level, wanted in enumerate(known.pixels):
        assert dataset.levels(p)[level].sizes == wanted.shape[2:]
        assert dataset.levels(p)[level].scale == pytest.approx(known.scale(level))
        for t, c, z in np.ndindex(wanted.shape[:3]):
            if known.state(t, c, z, level) is PlaneState.ABSENT:
                with pytest.raises(PlaneNotStoredError):
                    dataset.plane(t, p, c, z, level)
                continue
            plane = dataset.plane(t, p, c, z, level)
            assert plane.dtype == wanted.dtype
            np.testing.assert_array_equal(plane, wanted[t, c, z])


def check_parts(dataset: Dataset, p: int, known: Known, data: st.DataObject) -> None:
    """A region of one plane, and any slices of a lazy array, of every level."""
    for level, wanted in enumerate(known.pixels):
        t, c, z, *corner = (data.draw(st.integers(0, n - 1)) for n in wanted.shape)
        extent = (data.draw(st.integers(1, n - at)) for n, at in zip(wanted.shape[3:], corner, strict=True))
        region = Region(*corner, *extent)
        if known.state(t, c, z, level) is PlaneState.ABSENT:
            with pytest.raises(PlaneNotStoredError):
                dataset.plane(t, p, c, z, level, region)
        else:
            part = dataset.plane(t, p, c, z, level, region)
            np.testing.assert_array_equal(part, wanted[t, c, z][region.slices])
        array = dataset.to_xarray(level, "fill", p)
        assert array.dtype == wanted.dtype
        some = tuple(data.draw(st.slices(n)) for n in array.shape)
        np.testing.assert_array_equal(array[some].values, wanted.swapaxes(1, 2)[:, None][some])
        for i, axis in enumerate("zyx"):
            np.testing.assert_allclose(array.coords[axis], known.along(i, level), atol=1e-9)


def check_views(frames: ViewArrays, p: int, known: Known, data: st.DataObject) -> None:
    """The planes of a view, at the level that fits the window."""
    sizes = known.image.sizes()
    t, z = data.draw(st.integers(0, known.image.size("t") - 1)), data.draw(st.integers(0, sizes[0] - 1))
    frames.view = View(t, p, z)
    frames.screen = data.draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
    shown, frame = uploaded(frames)
    assert frame.downsampled == pytest.approx((1.0, *known.scale(frame.level)[1:]))
    z = known.z_at(z, frame.level)
    for c, plane in frame.planes.items():
        assert plane.state is known.state(t, c, z, frame.level)
        if plane.pixels is not None:
            np.testing.assert_array_equal(shown[c], shown_pixels(known.pixels[frame.level][t, c, z]))
    assert sorted(frame.planes) == list(range(known.image.size("c")))


def check_volume(frames: ViewArrays, p: int, known: Known, t: int) -> None:
    """The first level that the texture can hold, else the last one, thinned out: whole, and to scale."""
    frames.view = View(t, p, is_volume=True)
    shown, frame = uploaded(frames)
    n_channels = known.image.size("c")
    assert frame.image is not None
    level, steps = level_of_volume(known, n_channels * shown.itemsize)
    assert frame.downsampled == pytest.approx(np.multiply(steps, known.scale(level)))
    sparse = known.pixels[level][t, :, :: steps[0], :: steps[1], :: steps[2]]
    assert shown.shape[1:] == sparse.shape[1:]
    for c in range(n_channels):
        of_planes = [known.state(t, c, z, level) for z in range(0, known.image.size("z", level), steps[0])]
        assert frame.counts[c] == {state: of_planes.count(state) for state in of_planes}
        for wanted, found, state in zip(sparse[c], shown[c], of_planes, strict=True):
            np.testing.assert_array_equal(found, 0 if state is PlaneState.ABSENT else shown_pixels(wanted))
    assert not shown[n_channels:].any()


def level_of_volume(known: Known, bytes_per_voxel: int) -> tuple[int, tuple[int, int, int]]:
    last = len(known.pixels) - 1
    while last and not known.stored[last].any():  # made and never filled
        last -= 1
    if not known.stored[last].any():  # none is
        last = len(known.pixels) - 1
    for level in range(last + 1):
        n_z, height, width = known.image.sizes(level)
        z_step = -(-n_z // volume_reading.MAX_TEXTURE_3D)
        for step in range(1, 1 + max(height, width)):
            shape = (-(-n_z // z_step), -(-height // step), -(-width // step))
            is_small = max(shape) <= volume_reading.MAX_TEXTURE_3D
            if is_small and math.prod(shape) * bytes_per_voxel <= volume_reading.MAX_VOLUME_BYTES:
                break
        if step == z_step == 1 or level == last:
            break
    return level, (z_step, step, step)


@settings(  # shrinking writes hundreds of datasets: minutes
    max_examples=25,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_what_zarr_python_reads_is_what_comes_out(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.zarr"
    made = data.draw(datasets())
    write(path, made)
    chunks = stores.chunk_files(path)
    for i in data.draw(st.sets(st.integers(0, len(chunks) - 1))):
        chunks[i].unlink()
    everything = [Known(*each) for each in zip(made, written.images_in(path), strict=True)]
    with pytest.MonkeyPatch.context() as limits, open_dataset(path) as dataset:
        large = data.draw(st.sampled_from([1, 150, 1000]))  # pixels; larger planes are read in tiles
        limits.setattr(regions, "ONE_TILE_PIXELS", large)
        limits.setattr(to_xarray, "ONE_TILE_PIXELS", large)
        limits.setattr(tiling, "TILE_PIXELS", 60)
        limits.setattr(volume_reading, "MAX_TEXTURE_3D", data.draw(st.sampled_from([3, 9, 20])))
        limits.setattr(volume_reading, "MAX_VOLUME_BYTES", data.draw(st.sampled_from([100, 2000, 1_000_000])))
        for p, known in enumerate(everything):
            dataset.image(p)
            frames = ViewArrays(dataset)  # the canvas is built anew when there are more channels
            check_views(frames, p, known, data)
            check_volume(frames, p, known, data.draw(st.integers(0, known.image.size("t") - 1)))
            check_planes(dataset, p, known)
            check_parts(dataset, p, known, data)
