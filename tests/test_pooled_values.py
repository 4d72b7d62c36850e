"""What many fields suggest together for contrast: a matter of the fields, not of how they came."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ndviewer_light.engine.area_averages import shrunk, step_for
from ndviewer_light.engine.scene import FieldScene
from ndviewer_light.gui.scene.field_pictures import FieldPictures, SceneEdges
from ndviewer_light.model import Plane, PlaneState, StackKey
from ndviewer_light.rendering.contrast import CLIPS, ContrastMode, SeenContrast, contrast_of
from ndviewer_light.rendering.pooled_values import FieldValues, PooledValues, judged, judged_edges

DTYPES = ["u1", "u2", "u4", "i2", "f4", "f8", "bool"]


def planes_of(dtype, n=40, side=16, seed=0):
    rng = np.random.default_rng(seed)
    made = [rng.gamma(2.0, 10 + 5 * i, (side, side)) for i in range(n)]
    return {
        i: (plane > 50 if dtype == "bool" else np.clip(plane, 0, 250)).astype(dtype)
        for i, plane in enumerate(made)
    }


def put_in_parts(planes, seed, edge=16, place=(0, 0)):
    """Values to which these planes were put in some order, so many at a time; some of them twice."""
    rng, values = random.Random(seed), FieldValues()
    values.show_place(place, "")
    order = list(planes)
    rng.shuffle(order)
    order += order[: len(order) // 3]
    while order:
        n = rng.randint(1, 9)
        values.put(0, {p: planes[p] for p in order[:n]}, lambda p: edge)
        del order[:n]
    return values


def windows(values):
    return [each.windows for each in values.contrasts(0)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_do_not_depend_on_the_order_nor_on_how_many_come_at_a_time(dtype):
    planes = planes_of(dtype)
    found = [put_in_parts(planes, seed) for seed in range(12)]
    assert all(windows(each) == windows(found[0]) for each in found)
    (first,), *others = [each.contrasts(0) for each in found]
    assert all(np.array_equal(first.counts, each.counts) and first.span == each.span for (each,) in others)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_they_are_those_of_all_pixels_together(dtype):
    planes = planes_of(dtype)
    (found,) = put_in_parts(planes, 1, edge=32).contrasts(0)
    wanted = contrast_of(np.stack(list(planes.values())))
    for clip in CLIPS:
        assert found.windows[clip] == pytest.approx(wanted.windows[clip], rel=1e-6)
    assert found.range == wanted.range


def test_fields_of_different_types_count_together():
    planes = {**planes_of("u1", 10), **{p + 10: each for p, each in planes_of("f4", 10, seed=3).items()}}
    found = [put_in_parts(planes, seed, edge=32) for seed in range(6)]
    assert all(windows(each) == windows(found[0]) for each in found)
    wanted = contrast_of(np.stack([each.astype("f8") for each in planes.values()]))
    assert windows(found[0])[0][1.0] == pytest.approx(wanted.windows[1.0], rel=1e-6)


def test_a_plane_that_is_written_again_counts_as_it_is_now():
    pooled = PooledValues()
    pooled.put({1: np.full((8, 8), 60_000, "u2"), 2: np.arange(64, dtype="u2").reshape(8, 8)}, lambda key: 64)
    assert pooled.folded().range == (0, 63), "one value alone says nothing beside others"
    pooled.put({1: np.arange(100, 164, dtype="u2").reshape(8, 8)}, lambda key: 64)
    assert pooled.folded().range == (0, 163) and pooled.folded().n_planes == 2
    pooled.put({1: np.arange(64, dtype="f4").reshape(8, 8) + np.float32(0.5)}, lambda key: 64)
    pooled.put({2: np.full((8, 8), np.nan, "f4")}, lambda key: 64)
    assert pooled.folded().range == (0.5, 63.5) and pooled.folded().n_planes == 1


def test_places_count_once_however_often_they_are_shown():
    first, second = planes_of("u2"), planes_of("u2", seed=7)

    def seen(*places):
        values = FieldValues()
        for t, planes in places:
            values.show_place((t, 0), "")
            values.put(0, planes, lambda p: 16)
        return windows(values)

    once = seen((0, first), (1, second))
    assert once == seen((1, second), (0, first)) == seen((0, first), (1, second), (0, first), (1, second))
    few = {p: first[p] for p in range(3)}
    assert once == seen((0, first), (1, second), (0, few)), "not all of a place is there again"
    assert once != seen((0, first))


def test_projections_are_judged_apart_from_planes():
    values = FieldValues()
    values.show_place((0, 0), "")
    values.put(0, planes_of("u2"), lambda p: 16)
    of_planes = windows(values)
    values.show_place((0, "sum"), "sum")
    assert not values.contrasts(0)
    values.put(0, {p: each * 4 for p, each in planes_of("u2").items()}, lambda p: 16)
    assert windows(values) != of_planes
    values.show_place((0, 0), "")
    assert windows(values) == of_planes


def test_closer_looks_widen_and_never_narrow():
    values = FieldValues()
    values.put(0, planes_of("u2"), lambda p: 16)
    seen = SeenContrast()
    seen.set_fields(values.contrasts(0))
    before = seen.limits(ContrastMode.RUN, 0.1, is_of_fields=True)
    values.put_closer(0, {3: np.arange(50, 90, dtype="u2").reshape(8, 5)})
    seen.set_fields(values.contrasts(0))
    assert seen.limits(ContrastMode.RUN, 0.1, is_of_fields=True) == before
    values.put_closer(0, {3: np.arange(100, 9000, dtype="u2").reshape(89, 100)})
    seen.set_fields(values.contrasts(0))
    wide = seen.limits(ContrastMode.RUN, 0.1, is_of_fields=True)
    assert wide[1] > 8000
    values.put_closer(0, {p: np.arange(50, 90, dtype="u2").reshape(8, 5) for p in range(4, 40)})
    seen.set_fields(values.contrasts(0))
    assert seen.limits(ContrastMode.RUN, 0.1, is_of_fields=True) == wide, "however many dim ones there are"


def test_a_plane_that_is_read_large_because_little_was_known_of_the_scene_is_no_closer_look():
    pictures = FieldPictures(lambda p: 16, lambda name, work: work())
    pixels = planes_of("u2", 6)
    bright = np.arange(0, 60_000, 60, dtype="u2").reshape(40, 25)
    planes = {(p, 0): Plane(PlaneState.PRESENT, bright if p == 3 else pixels[p]) for p in pixels}
    found = []
    for looks_closely in (False, True):
        pictures = FieldPictures(lambda p: 16, lambda name, work: work())
        pictures.read_from(Loader(planes, 0))
        pictures.show_place((0, 0))
        if looks_closely:
            pictures.look_closely([3])
        pictures.set_edges(SceneEdges([16] * 6, [8] * 6))
        found.append(len(pictures.take(0)[1][0, ""]))
    assert found == [1, 2]


def test_planes_seen_one_by_one_do_not_change_the_picture_of_all_fields():
    values, seen = FieldValues(), SeenContrast()
    values.put(0, planes_of("u2"), lambda p: 16)
    seen.set_fields(values.contrasts(0))
    before = {
        mode: seen.limits(mode, 0.1, is_of_fields=True) for mode in (ContrastMode.RUN, ContrastMode.FULL)
    }
    seen.add(contrast_of(np.arange(60_000, dtype="u2").reshape(200, 300)))
    assert before == {mode: seen.limits(mode, 0.1, is_of_fields=True) for mode in before}
    low, high = seen.limits(ContrastMode.RUN, 0.1)
    assert low <= before[ContrastMode.RUN][0] and high > 50_000, "those of planes hold both"


def test_what_is_judged_is_as_large_whatever_the_window():
    edges = np.array([[x * 100.0, 0, x * 100 + 90, 60] for x in range(16)])
    sizes = judged_edges(FieldScene(edges), 16, 256)
    assert sizes == [32] * 16  # of 512 pixels for all of them
    plane = np.arange(128 * 128, dtype="u2").reshape(128, 128)
    small = judged({0: plane, 1: plane[:20, :20]}, lambda p: 32)
    assert small[0].shape == (32, 32) and small[1].shape == (20, 20)


class Loader:
    """Brings planes in some order, so many at a time."""

    def __init__(self, planes, seed):
        self._rng, self._left = random.Random(seed), list(planes.items())
        self._rng.shuffle(self._left)

    @property
    def has_arrived(self):
        return bool(self._left)

    n_left = 0

    def take(self):
        n = self._rng.randint(1, 7)
        taken, self._left = self._left[:n], self._left[n:]
        return {StackKey(0, p, c, 0): (plane, 16) for (p, c), plane in taken}


def test_pictures_of_fields_suggest_the_same_contrast_however_they_arrive():
    pixels = planes_of("u2", 60)
    planes = {(p, c): Plane(PlaneState.PRESENT, pixels[p] + 100 * c) for p in pixels for c in range(2)}
    planes[5, 0] = Plane(PlaneState.FILLED, np.zeros((16, 16), "u2"))
    found = []
    for seed in range(6):
        pictures = FieldPictures(lambda p: 16, lambda name, work: work())
        pictures.read_from(Loader(planes, seed))
        pictures.show_place((0, 0))
        pictures.set_edges(SceneEdges([16] * 60, [16] * 60))
        assert not pictures.is_contrast_due
        _, contrasts = pictures.take(0)
        found.append({c: [each.windows for each in of_channel] for c, of_channel in contrasts.items()})
    assert set(found[0]) == {(0, ""), (1, "")} and all(each == found[0] for each in found)


def test_fields_that_turn_out_to_be_of_another_type_are_judged_apart():
    pixels = planes_of("u2", 6)
    planes = {(p, 0): Plane(PlaneState.PRESENT, pixels[p] + (10_000 if p < 2 else 0)) for p in pixels}
    others: dict[int, str] = {}
    pictures = FieldPictures(lambda p: 16, lambda name, work: work(), lambda p: others.get(p, ""))
    pictures.read_from(Loader(planes, 0))
    pictures.show_place((0, 0))
    pictures.set_edges(SceneEdges([16] * 6, [16] * 6))
    assert pictures.take(0)[1][0, ""][0].range[1] > 10_000
    others.update({0: "uint8", 1: "uint8"})
    pictures.sort_by_type()
    found = pictures.take(0)[1]
    assert found[0, ""][0].range == tuple(
        f(pixels[p].min() if f is min else pixels[p].max() for p in range(2, 6)) for f in (min, max)
    )
    assert found[0, "uint8"][0].range[0] >= 10_000


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
def test_planes_made_small_together_are_as_each_by_itself(dtype):
    rng = np.random.default_rng(0)
    shapes = [(64, 64), (64, 64), (48, 64), (50, 64), (64, 30), (16, 16), (64, 64)]
    planes = {p: (rng.random(shape) * 200).astype(dtype) for p, shape in enumerate(shapes)}
    planes[6] = np.asfortranarray(planes[6])
    found = judged(planes, lambda p: 16)
    assert found.keys() == planes.keys()
    for p, pixels in planes.items():
        np.testing.assert_array_equal(found[p], shrunk(pixels, step_for(max(pixels.shape), 16)))
