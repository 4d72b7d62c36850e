"""Planes by the names a person knows: channels and positions, and what the nouns say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from memory_source import MemorySource, memory_info

import ndviewer_light
from ndviewer_light import Channel, Dataset, DatasetInfo, PlaneKey, Position, open_dataset


@pytest.fixture
def dataset(tmp_path):
    stores.write_per_fov(tmp_path / "experiment", {"A1": 2, "B2": 1})
    with open_dataset(tmp_path / "experiment") as dataset:
        yield dataset


def test_a_channel_and_a_position_may_be_named(dataset):
    assert dataset.channels == stores.CHANNELS[:2]
    assert dataset.positions == ("A1:0", "A1:1", "B2:0")
    assert dict(dataset.sizes) == {"t": 2, "p": 3, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    for p, label in enumerate(dataset.positions):
        for c, name in enumerate(dataset.channels):
            np.testing.assert_array_equal(dataset.plane(t=1, p=label, c=name), stores.plane(1, p, c, 0))


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ({"c": "DAPI"}, "no channel is named 'DAPI'; available: 'BF LED matrix full', 'Fluor"),
        ({"c": ""}, "no channel is named ''"),
        ({"p": "A1"}, "no position is named 'A1'; available: 'A1:0', 'A1:1', 'B2:0'"),
    ],
    ids=str,
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(dataset, which, said):
    with pytest.raises(KeyError) as caught:
        dataset.plane(**which)
    assert said in caught.value.args[0]


def test_of_many_names_a_few_are_told():
    info = memory_info(n_p=1000)
    with pytest.raises(KeyError) as caught:
        info.position_index("Z9:0")
    assert "and 992 more" in caught.value.args[0]
    assert len(caught.value.args[0]) < 300


def test_a_name_that_two_channels_have_is_refused():
    info = memory_info(channels=(Channel("GFP"), Channel("DAPI"), Channel("GFP")))
    assert info.channel_index("DAPI") == 1
    with pytest.raises(KeyError, match=r"2 channels are named 'GFP': use one of the indices \[0, 2\]"):
        info.channel_index("GFP")


def test_what_the_nouns_say_of_themselves():
    assert repr(PlaneKey(1, 0, 2, 3)) == "PlaneKey(t=1, p=0, c=2, z=3)"
    assert repr(Position("A1", 3)) == "Position('A1:3')"
    assert repr(Position("A1", 3, 1.5, 2000.0)) == "Position('A1:3', x_um=1.5, y_um=2000)"
    assert repr(Channel("GFP", "#00FF00")) == "Channel('GFP', '#00FF00')"
    assert repr(Channel("GFP", "#00FF00", 488.0)) == "Channel('GFP', '#00FF00', excitation_nm=488.0)"
    summary = "memory: t 2, p 3, c 2 ('c0', 'c1'), z 2, 8 × 10 uint16"
    assert repr(memory_info()) == f"<DatasetInfo {summary}>"
    dataset = Dataset(MemorySource(), path="/data/a", live=True)
    assert repr(dataset) == f"<Dataset '/data/a' {summary}, live>"
    dataset.close()
    assert repr(dataset).endswith(", closed>")
    assert "of unknown type" in repr(memory_info(dtype=None))
    assert len(repr(memory_info(n_p=10_000, n_c=100))) < 200


def test_the_public_names_are_those_that_scripts_need():
    assert {"Dataset", "DatasetInfo", "PlaneKey", "Channel", "Position"} <= set(ndviewer_light.__all__)
    assert ndviewer_light.DatasetInfo is DatasetInfo
    from ndviewer_light import errors

    assert set(errors.BY_NAME) <= set(ndviewer_light.__all__)


def test_a_time_limit_needs_a_process_that_can_be_ended(tmp_path):
    stores.write_image(tmp_path / "i.zarr")
    with pytest.raises(ValueError, match="isolate=True"):
        open_dataset(tmp_path / "i.zarr", timeout=5)
    with open_dataset(tmp_path / "i.zarr", isolate=True, timeout=60) as dataset:
        assert dataset.plane().any()
