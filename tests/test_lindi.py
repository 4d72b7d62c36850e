"""LINDI's references say of an image what the NWB file itself says; in a JSON file, or in LINDI's tar."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hdf5_files import write_nwb
from reference_files import ReferenceWriter

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError, MetadataError
from ndviewer_light.sources.source import LabelPart

if TYPE_CHECKING:
    from tests.range_server import RangeServer

WRITTEN = Path(__file__).parent / "data" / "lindi" / "two_series.lindi.json"
FRAMES = np.arange(4 * 12 * 10, dtype=np.uint16).reshape(4, 12, 10)
PLANE = {
    **{"indicator": "GCaMP6f", "excitation_lambda": 920.0, "emission_lambda": 510.0},
    **{"grid_spacing": [2e-6, 3e-6], "unit": "meters"},
}
SERIES: dict[str, dict[str, Any]] = {
    "images": {"data": FRAMES, "plane": PLANE, "rate": 30.0},
    "timed": {"data": FRAMES + 1, "timestamps": [0.0, 0.5, 1.0, 1.5]},
}
NO_CACHE = {"disk_cache": "no"}

pytest.importorskip("numcodecs")


@pytest.mark.parametrize("name", SERIES)
def test_images_are_described_as_in_the_file_itself(name: str, tmp_path: Path) -> None:
    write_nwb(tmp_path / "a.nwb", **{name: SERIES[name]})
    inside = f"::/acquisition/{name}"
    paths = f"{WRITTEN}{inside}", f"{tmp_path / 'a.nwb'}{inside}"
    with open_dataset(paths[0]) as dataset, open_dataset(paths[1]) as original:
        ours, its = dataset.info, original.info
        assert ours.sizes == its.sizes
        assert ours.channels == its.channels
        assert ours.time_step_s == pytest.approx(its.time_step_s)
        if name == "images":
            assert ours.channels[0].name == "GCaMP6f"
            assert ours.pixel_size_x_um == pytest.approx(its.pixel_size_x_um)
            assert ours.pixel_size_y_um == pytest.approx(its.pixel_size_y_um)
        for t in range(4):
            np.testing.assert_array_equal(dataset.plane(t), original.plane(t))


def test_the_largest_series_is_shown_first_as_of_the_file_itself(tmp_path: Path) -> None:
    """Here made the larger one: in the document, the smaller comes first."""
    document = json.loads(WRITTEN.read_text())
    array = document["refs"]["acquisition/timed/data/.zarray"]
    array = json.loads(array) if isinstance(array, str) else array
    array["shape"][0] += 1
    document["refs"]["acquisition/timed/data/.zarray"] = array
    (tmp_path / "a.lindi.json").write_text(json.dumps(document))
    with open_dataset(tmp_path / "a.lindi.json") as dataset:
        assert dataset.info.n_t == 5
        assert [each.name for each in dataset.info.positions] == ["timed", "images"]
        np.testing.assert_array_equal(dataset.plane(t=3, p=1), FRAMES[3].T)


def write_tar(path: Path, members: dict[str, bytes], *, wrong: str = "") -> None:
    """A tar as LINDI lays it out: an entry of 1 kB, an index of 8 kB, then the members."""
    index_at, index_bytes = 512 + 1024 + 512, 8192
    entry = {"index": {"d": index_at, "n": ".tar_index.json", "o": index_at - 512, "s": index_bytes}}
    files = [{"n": ".tar_entry.json", "o": 0, "d": 512, "s": 1024}, entry["index"]]
    at = index_at + index_bytes
    for name, data in members.items():
        files.append({"n": name, "o": at, "d": at + 512, "s": len(data)})
        at += 512 + -(-len(data) // 512) * 512
    if wrong == "outside":
        files[-1]["s"] = 10**9
    index = b"[" if wrong == "index" else json.dumps({"files": files}).encode()
    everything = {
        ".tar_entry.json": json.dumps(entry).encode().ljust(1024),
        ".tar_index.json": index.ljust(index_bytes),
        **members,
    }
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in everything.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def in_tar() -> dict[str, bytes]:
    """The same references with the pixels of one series as a member of their own."""
    content = json.loads(WRITTEN.read_text())
    refs = content["refs"]
    refs["acquisition/images/data/.zarray"]["compressor"] = None
    refs["acquisition/images/data/0.0.0"] = ["./blobs/a1", 0, FRAMES.nbytes]
    return {"lindi.json": json.dumps(content).encode(), "blobs/a1": FRAMES.tobytes()}


@pytest.mark.parametrize("name", ["a.lindi.tar", "a1b2"])
def test_a_tar_holds_references_and_pixels(name: str, tmp_path: Path, server: RangeServer) -> None:
    pytest.importorskip("obstore")
    write_tar(tmp_path / name, in_tar())
    for path in (str(tmp_path / name), server.url(name)):
        with open_dataset(f"{path}::/acquisition/images", storage_options=NO_CACHE) as dataset:
            assert dataset.info.channels[0].name == "GCaMP6f"
            for t in range(4):
                np.testing.assert_array_equal(dataset.plane(t), FRAMES[t].T)


def test_a_tar_that_does_not_hold_what_it_says_is_refused(tmp_path: Path) -> None:
    members = in_tar()
    write_tar(tmp_path / "missing.lindi.tar", {"lindi.json": members["lindi.json"]})
    write_tar(tmp_path / "short.lindi.tar", {**members, "blobs/a1": b"short"})
    write_tar(tmp_path / "none.lindi.tar", {"other.json": b"{}"})
    for wrong in ("index", "outside"):
        write_tar(tmp_path / f"{wrong}.lindi.tar", members, wrong=wrong)
    for name, said in (
        *(
            ("missing", "which it does not contain"),
            ("short", "refers beyond the end"),
            ("none", "no lindi.json"),
        ),
        *(("index", "index is damaged"), ("outside", "lies outside the file")),
    ):
        with pytest.raises(MetadataError, match=said):
            open_dataset(tmp_path / f"{name}.lindi.tar")


def test_single_images_of_nwb_are_upright_and_offered_after_the_series(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mean, slide = rng.random((24, 16)).astype("f4"), rng.integers(0, 255, (24, 16, 3)).astype("u1")
    writer = ReferenceWriter(tmp_path)
    for path, said in (("acquisition", {}), ("acquisition/S", {"neurodata_type": "TwoPhotonSeries"})):
        writer.group(path, said)
    for name, kind, pixels in (("slide", "RGBImage", slide), ("mean", "GrayscaleImage", mean)):
        said = {"neurodata_type": kind, "resolution": 2000.0}
        writer.add(f"acquisition/{name}", pixels, pixels.shape, attributes=said)
    writer.add("acquisition/S/data", FRAMES, (1, 12, 10))
    refs = writer.write_lindi()
    with open_dataset(refs) as dataset:
        assert dataset.info.labels == ()
        np.testing.assert_array_equal(dataset.plane(t=3), FRAMES[3].T)
        names = [each.name for each in dataset.info.positions]
        assert (names, dataset.info.choices) == (["S", "slide", "mean"], ())
        np.testing.assert_array_equal(dataset.plane(p="mean"), mean.T)
    with open_dataset(f"{refs}::/acquisition/mean") as dataset:
        np.testing.assert_array_equal(dataset.plane(), mean.T)
        assert dataset.info.pixel_size_um == pytest.approx(5)
        assert [channel.name for channel in dataset.info.channels] == ["mean"]
    with open_dataset(f"{refs}::/acquisition/slide") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["red", "green", "blue"]
        for c in range(3):
            np.testing.assert_array_equal(dataset.plane(c=c), slide[..., c].T)


@pytest.mark.parametrize("n", [1, 3])
def test_masks_of_regions_are_upright_positions_and_labels_over_their_series(tmp_path: Path, n: int) -> None:
    table = "processing/ophys/Cells"
    masks = np.zeros((n, 12, 10), "f4")
    for i in range(n):
        masks[i, 1 + 3 * i : 3 + 3 * i, 2:5] = 0.5
    writer = ReferenceWriter(tmp_path)
    for path, said in (
        ("acquisition/S", {"neurodata_type": "TwoPhotonSeries"}),
        ("acquisition/wide", {"neurodata_type": "TwoPhotonSeries"}),
        (table, {"neurodata_type": "PlaneSegmentation"}),
    ):
        writer.group(path, said)
    writer.add("acquisition/S/data", FRAMES, (1, 12, 10))
    writer.add("acquisition/wide/data", FRAMES[:2].reshape(2, 6, 20), (1, 6, 20))
    writer.add(f"{table}/image_mask", masks, masks.shape)
    writer.add(f"{table}/id", np.arange(7, 7 + n), (n,), inline="base64")
    refs = writer.write_lindi()
    with open_dataset(refs) as dataset:
        assert dataset.info.labels == (f"{refs}::/{table}/image_mask",)
        (seen,) = dataset.label_parts("Cells", [LabelPart(0, 0, 0, (0, 0, 12, 10), 10, 12)])
        wanted = sum((i + 1) * (mask.T > 0) for i, mask in enumerate(masks))
        np.testing.assert_array_equal(seen.values, wanted)
        assert seen.facts.properties[n]["name"] == f"ROI {6 + n}"
    with open_dataset(f"{refs}::/acquisition/wide") as dataset:
        assert dataset.info.labels == (), "they are of another size"
    for inside in (table, f"{table}/image_mask"):
        with open_dataset(f"{refs}::/{inside}") as dataset:
            assert dataset.sizes == {"t": 1, "p": n, "c": 1, "z": 1, "y": 10, "x": 12}
            assert dataset.info.positions[0].name == "ROI 7" and dataset.info.labels == ()
            np.testing.assert_array_equal(dataset.plane(p=n - 1), masks[n - 1].T)


def test_frames_that_are_not_evenly_spaced_are_said(tmp_path: Path) -> None:
    writer = ReferenceWriter(tmp_path)
    writer.group("acquisition/S", {"neurodata_type": "TwoPhotonSeries"})
    writer.add("acquisition/S/data", FRAMES, (1, 12, 10))
    writer.add("acquisition/S/timestamps", np.array([1.0, 1.1, 5.0, 7.0]), (4,), inline="base64")
    with open_dataset(writer.write_lindi()) as dataset:
        assert dataset.info.time_step_s == pytest.approx(2)
        assert dataset.info.warnings[0].endswith("not evenly spaced in time; using the mean time step")


def test_series_that_lindi_links_to_another_file_are_positions_as_well(tmp_path: Path) -> None:
    """Described by the references; the other file is opened once something of them is read."""
    larger = np.stack([*FRAMES, *FRAMES])
    writer = ReferenceWriter(tmp_path)
    for name in ("own", "linked"):
        writer.group(f"acquisition/{name}", {"neurodata_type": "TwoPhotonSeries"})
    writer.add("acquisition/own/data", FRAMES, (1, 12, 10))
    link = {"link_type": "hdf5_dataset", "url": "there.nwb", "name": "/acquisition/linked/data"}
    said = {"_EXTERNAL_ARRAY_LINK": link}
    writer.add("acquisition/linked/data", larger, (1, 12, 10), skip=lambda at: True, attributes=said)
    refs = writer.write_lindi()
    with open_dataset(refs) as dataset:
        assert [each.name for each in dataset.info.positions] == ["linked", "own"]
        assert [dataset.image(p).n_t for p in (0, 1)] == [8, 4]
        np.testing.assert_array_equal(dataset.plane(t=3, p="own"), FRAMES[3].T)
        with pytest.raises(DatasetError, match=r"there\.nwb"):
            dataset.plane(t=7, p="linked")
        write_nwb(tmp_path / "there.nwb", linked={"data": larger})
        np.testing.assert_array_equal(dataset.plane(t=7, p="linked"), larger[7].T)
