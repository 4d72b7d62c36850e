"""The reader plug-in for napari (declared in ``napari.yaml``); does not import napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.dataset import Dataset
    from ..model import Channel

    Layer = tuple[Any, dict[str, Any], str]  # data, arguments of napari's add_image, layer type


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Layer]] | None:
    """The function that makes layers of the dataset at `path`; None if unsupported: napari tries others."""
    from ..sources import registry

    if isinstance(path, list):  # a stack of files, for which the folder should be opened instead
        return None
    return read if registry.is_recognised(path) else None


def read(path: str | list[str]) -> list[Layer]:
    """One lazy image layer for each channel, axes (time, fov, z, y, x) without those of size 1, scale in µm.

    Pyramid levels become multiscale. Blocks until the metadata is read; raises a `DatasetError`.
    """
    from ..opening import open_dataset

    if isinstance(path, list):
        raise DatasetError("several files do not make a dataset; open their folder instead")
    dataset = open_dataset(path)  # stays open as long as the layers exist
    info = dataset.info
    levels = [dataset.to_xarray(level, missing="fill") for level in range(info.n_levels)]
    kept = [axis for axis in ("time", "fov", "z") if levels[0].sizes[axis] > 1]
    dropped = dict.fromkeys({"time", "fov", "z"} - set(kept), 0)
    steps = {"z": info.z_step_um, "y": info.pixel_size_y_um, "x": info.pixel_size_x_um}
    layers: list[Layer] = []
    for c, channel in enumerate(info.channels):
        data = [level.isel(dropped | {"channel": c}).transpose(*kept, "y", "x").data for level in levels]
        said = {
            **_look(dataset, channel),
            "scale": [steps.get(axis) or 1.0 for axis in (*kept, "y", "x")],
            "multiscale": len(data) > 1,
        }
        layers.append((data if len(data) > 1 else data[0], said, "image"))
    return layers


def _look(dataset: Dataset, channel: Channel) -> dict[str, Any]:
    info = dataset.info
    rgb = [int(channel.color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    look: dict[str, Any] = {
        "name": channel.name if len(info.channels) > 1 else f"{info.name} {channel.name}".strip(),
        "colormap": {"name": channel.color, "colors": [[0.0, 0.0, 0.0, 1.0], [*rgb, 1.0]]},
        "blending": "additive",
        "visible": channel.visible,
        "metadata": {"format": info.format, "positions": [position.title for position in info.positions]},
    }
    if channel.window is not None:
        look["contrast_limits"] = list(channel.window)
    return look
