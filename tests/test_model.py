"""What one position contains, and what is said of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import memory_info

from ndviewer_light.model import (
    Channel,
    ImageInfo,
    Level,
    Region,
    Scale,
    Sizes,
    all_channels,
    channel_in,
    how_many,
)


def image(*names: str, **more: object) -> ImageInfo:
    known = {"n_t": 1, "n_z": 1, "height": 5, "width": 7, "dtype": np.dtype("u2"), **more}
    return ImageInfo(tuple(map(Channel, names)), **known)  # type: ignore[arg-type]


def test_positions_are_alike_until_one_is_known_to_differ() -> None:
    info = memory_info(n_p=3, n_c=2)
    assert info.image(0) is info.image(2)
    assert info.image(0).sizes == {axis: n for axis, n in info.sizes.items() if axis != "p"}
    assert info.with_image(1, info.image(0)) is info
    with pytest.raises(IndexError):
        info.image(3)


def test_the_whole_has_the_largest_sizes_and_all_channels() -> None:
    info = memory_info(n_p=4, n_c=2, n_z=3)
    names = [channel.name for channel in info.channels]
    other = image(names[1], "Cy5", n_z=9, height=1, width=1000)
    both = info.with_image(1, other).with_image(2, image(names[1], "Cy5", n_z=9, height=1, width=1000))
    assert both.image(0) is both.image(3) is info.image(0)
    assert both.image(2) is both.image(1) is other  # equal ones are one object
    assert [channel.name for channel in both.channels] == [*names, "Cy5"]
    assert both.sizes == {**info.sizes, "c": 3, "z": 9, "x": 1000}
    assert both.pixel_size_um == info.pixel_size_um
    assert both.with_image(1, other) is both


def test_a_position_may_become_like_the_others() -> None:
    info = memory_info(n_p=2, n_c=1)
    both = info.with_image(1, image("Cy5", width=1000))
    again = both.with_image(1, info.image(0))
    assert again.images == {}
    assert again.width == info.width
    assert len(again.channels) == 2  # indices of channels in use do not change


def test_channels_are_the_same_if_their_names_are() -> None:
    known = tuple(map(Channel, ("A", "B", "A")))
    more = tuple(map(Channel, ("A", "C", "A", "A")))
    every = all_channels(known, more)
    assert [channel.name for channel in every] == ["A", "B", "A", "C", "A"]
    assert [channel_in(known, every, c) for c in range(5)] == [0, 1, 2, None, None]
    assert [channel_in(more, every, c) for c in range(5)] == [0, None, 2, 1, 3]


@pytest.mark.parametrize(
    ("n_z", "span", "planes"),
    [(5, 1, [0, 1, 2, 3, 4]), (3, 2, [0, 0, 1, 1, 2]), (2, 2, [0, 0, 1, 1, 1]), (2, 3, [0, 0, 0, 1, 1])],
)
def test_which_plane_of_a_level_covers_one_of_level_0(n_z: int, span: float, planes: list[int]) -> None:
    level = Level(Sizes(n_z, 10, 10), Scale(span, 2, 2))
    assert [level.z_at(z) for z in range(5)] == planes
    assert [Level(Sizes(5, 10, 10)).z_at(z, level) for z in range(n_z)] == [
        min(4, int((z + 0.5) * span)) for z in range(n_z)
    ]


def test_a_region_lies_in_a_plane_or_not() -> None:
    assert Region(2, 0, 3, 7).within(5, 7)
    assert np.zeros((5, 7))[Region(2, 1, 3, 6).slices].shape == (3, 6)
    for bad in (Region(3, 0, 3, 7), Region(0, 1, 5, 7), Region(-1, 0, 2, 2), Region(0, 0, 0, 3)):
        assert not bad.within(5, 7)


def test_numbers_are_counted_in_words_that_fit() -> None:
    assert [how_many(n, "time point") for n in (0, 1, 2000)] == [
        "0 time points",
        "1 time point",
        "2,000 time points",
    ]
    assert how_many(2, "axis", "axes") == "2 axes"
