"""What Squid writes beside the images of an experiment, and what is said where that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...metadata.squid import (
    ChannelNames,
    acquisition_parameters,
    channel_names,
    channels_not_listed,
    parameter_files,
    sanitised,
)
from ...storage.file_versions import versions_of
from .file_names import base_channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...metadata.squid import Parameters
    from ...model import DatasetInfo
    from ...storage.local_files import LinkGuard
    from .forms import FileFacts


class ListedChannels:
    """The list of channels of an experiment. One thread at a time."""

    def __init__(self, experiment: str, links: LinkGuard | None) -> None:
        """Does not access the disk until `read`."""
        self._experiment = experiment
        self._links = links
        self._listed = ChannelNames()
        self._by_spelling: dict[str, str] = {}

    def read(self) -> None:
        """Read the list, also again; blocks on disk."""
        self._listed = channel_names(self._experiment, self._links)
        self._by_spelling = {sanitised(name): name for name in self._listed.names}

    @property
    def names(self) -> tuple[str, ...]:
        """The channels as named by the user, in order; () if nothing lists them."""
        return self._listed.names

    def name_of(self, name: str) -> str:
        """The user's name for a channel as files name it, if it is listed."""
        base = self._listed_as(name)
        return name if base is None else self._by_spelling[base] + sanitised(name)[len(base) :]

    def _listed_as(self, name: str) -> str | None:
        spelt = sanitised(name)
        return next((each for each in (spelt, base_channel(spelt)) if each in self._by_spelling), None)

    def warnings(self, names: Sequence[str]) -> tuple[str, ...]:
        """What is wrong with the list; `names` are those of the channels of images."""
        if self._listed.fault:
            return (self._listed.fault,)
        others = [name for name in names if self._listed_as(name) is None]
        return channels_not_listed(self._experiment, self._listed, others)


class ParametersBeside:
    """The parameters of an experiment, which may be written again. One thread at a time."""

    def __init__(self, experiment: str, links: LinkGuard | None = None) -> None:
        self._experiment = experiment
        self._links = links
        self._version: str | None = None  # of what was read
        self._facts: FileFacts | None = None  # of a file of the dataset
        self._said: tuple[str, ...] = ()  # of the warnings in the info

    def read(self) -> Parameters:
        """Read them; blocks on disk."""
        self._version = self._on_disk()
        return acquisition_parameters(self._experiment, self._links)

    def have_changed(self) -> bool:
        """Whether they were read, and have changed since; blocks on disk."""
        return self._version is not None and self._version != self._on_disk()

    def _on_disk(self) -> str:
        return versions_of(parameter_files(self._experiment))

    def added_to(
        self, info: DatasetInfo, parameters: Parameters, facts: FileFacts | None = None
    ) -> DatasetInfo:
        """The info with the parameters, and what is said of them instead of what was said before. No I/O.

        What they do not say is as `facts` of a file say; without them, as those given before.
        """
        if facts is None:
            assert self._facts is not None, "a file tells the size of pixels first"
            facts = self._facts
        self._facts = facts
        info = replace(
            info,
            pixel_size_y_um=parameters.pixel_size_um or facts.pixel_y,
            pixel_size_x_um=parameters.pixel_size_um or facts.pixel_x,
            z_step_um=parameters.z_step_um or facts.z_step,
            time_step_s=parameters.time_step_s or facts.time_step,
            objective=parameters.objective,
        )
        others = [each for each in info.warnings if each not in self._said]
        self._said = parameters.warnings(_unknown_in(info))
        return replace(info, warnings=(*others, *self._said))


def _unknown_in(info: DatasetInfo) -> list[str]:
    """What is not known of a dataset, and might be in its parameters."""
    known = {
        "pixel size": info.pixel_size_y_um is not None,
        "z step": info.z_step_um is not None or info.n_z == 1,
        "time step": info.time_step_s is not None or info.n_t == 1,
        "objective": bool(info.objective),
    }
    return [name for name, is_known in known.items() if not is_known]
