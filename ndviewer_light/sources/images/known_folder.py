"""What is known of a folder of images that is open: its files by plane, and what its positions contain."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetReorderedError, UnsupportedError
from ...model import PlaneKey, channel_in
from ...storage.about_files import about_file
from ...storage.bytes import is_url
from ...storage.file_versions import version_of
from ...storage.presentable import presentable
from ..unlike_files import pixels_text
from .beside_faults import FaultsBeside
from .catalogue import FileCatalogue
from .first_files import FirstFiles, damage_now, first_sample
from .folder_info import grown_info, image_info, opened_info, understood_anew
from .own_axes import told_apart_by_files
from .page_axes import PageAxes, page_axes_of
from .pixel_kinds import PixelKind, channels_of, common_dtype, parts_shown
from .planned_images import planned_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import ChannelPart, ImageInfo
    from ..remarks import Remark
    from .file_reader import Sample
    from .found_images import FoundImages
    from .growth import Grown
    from .listing import Listing

_MAX_WARNINGS = 8
"""Of files that are unlike others, so many are named."""


class KnownFolder:
    """Grows as files are added, and as the first file of a position is opened. Any thread.

    Positions, channels and time points keep their index; new ones are appended.
    """

    def __init__(self, found: FoundImages) -> None:
        listing, files = found.listing, found.files
        self._files = files
        self._lock = threading.Lock()  # guards the state; never held while reading a file
        first = listing.root + listing.files[0][1]
        stage = files.beside.coordinates()
        self._beside = FaultsBeside(files.beside, first)
        self._first = first_sample(listing, files)
        self._damaged = self._first.warnings()
        self._versions = dict(self._first.versions)
        self._outdated = ""  # why the folder has to be opened anew
        sample = self._sample = self._first.sample
        self._by_user = found.by_user
        listing = self.listing = self.told_apart(self._with_warnings(listing))
        stage = stage if stage.by_fov else files.beside.listed(first)
        index = files.beside.index(first)
        self.catalogue = FileCatalogue(listing.pattern, stage.by_fov, listing.said, index)
        self.catalogue.plan(planned_fields(listing, files.beside))
        self.catalogue.add(listing.files)
        self._inners: dict[int, PageAxes] = {}  # of the positions that were looked at
        self._firsts = FirstFiles(self.catalogue, files, listing.root)
        self.kinds = self._firsts.kinds(sample)  # of each channel in the names
        self.pages = self._pages_of(self._firsts.fullest(sample))
        # as displayed; of positions with others there are more, like the channels in `info`
        self.parts = parts_shown(self.catalogue, sample, self.pages, self.kinds)
        self._n_shared = len(self.parts)  # of those that are not of single positions
        self.info = opened_info(found, listing, self.catalogue, sample, self.pages, self.parts, self.kinds)

    def add(self, remark: Remark) -> None:
        """Say something of the dataset as a whole."""
        with self._lock:
            self.info = remark.added_to(self.info)

    def note_alike(self, p: int) -> None:
        """A position has pages like the others, as far as one of its files tells."""
        self._inners.setdefault(p, self.pages)

    def take(self, grown: Grown) -> None:
        """Take files that were added; pages inside files keep the axes that they have."""
        if not grown.catalogue.roles.isdisjoint(self.pages.roles):
            return
        n = len(grown.catalogue.channels)
        known = self.listing
        is_anew = grown.listing.pattern != known.pattern
        listing = self._with_warnings(grown.listing) if is_anew else known
        with self._lock:
            self.listing, self.catalogue = listing, grown.catalogue
            self._firsts = FirstFiles(grown.catalogue, self._files, grown.listing.root)
        new = self._firsts.kinds(self._sample, range(len(self.kinds), n))
        parts = parts_shown(grown.catalogue, self._sample, self.pages, (*self.kinds, *new))
        with self._lock:
            self.kinds = (*self.kinds, *new)
            if len(self.parts) > self._n_shared:  # some are of single positions
                self.parts = (*self.parts, *(part for part in parts if part not in self.parts))
            elif len(parts) > self._n_shared:  # perhaps by other names
                self.parts, self._n_shared = parts, len(parts)
            info = grown_info(self.info, grown.catalogue, self.parts, self.kinds)
            if is_anew:
                info = understood_anew(info, known, listing)
            if info != self.info:  # a new object would mean that more is known
                self.info = info

    def look_at_damaged(self) -> None:
        """Look again at the files that were damaged when the folder was opened. Blocks on disk or network.

        Raises `DatasetReorderedError` if the first of them that is whole by now says what others did not, and
        if a file beside the images is whole by now; then each time, until the folder is opened anew.
        """
        if not self._outdated and self._beside.are_fewer():
            self._outdated = f"{presentable(self.listing.root)}: what is beside the images is whole now"
        if self._outdated:
            raise DatasetReorderedError(self._outdated)
        first = self._first
        if not first.damaged:
            return
        damaged = dict(first.damaged)
        for path, version in self._versions.items():
            is_another = self._files.has_changed(path) if is_url(path) else self._version_of(path) != version
            if not is_another:
                continue
            self._versions[path] = self._version_of(path)
            damaged[path] = damage_now(path, self._files)
        damaged = {path: what for path, what in damaged.items() if what}
        if first.sample.torn and damaged.keys() != first.damaged.keys():
            self._outdated = f"{presentable(first.path)} was damaged, and is whole now"
            raise DatasetReorderedError(self._outdated)
        self._first = first._replace(damaged=damaged)
        self._versions = {path: self._versions[path] for path in damaged}
        warnings, before = self._first.warnings(), self._damaged
        if warnings == before:
            return
        with self._lock:
            self._damaged = warnings
            kept = [each for each in self.info.warnings if each not in before]
            self.info = replace(self.info, warnings=(*kept, *warnings))
            own = [each for each in self.listing.warnings if each not in before]
            self.listing = self.listing._replace(warnings=(*own, *warnings))

    def _version_of(self, path: str) -> str:
        """The version of a local file; a server is asked whether it has changed instead."""
        return "" if is_url(path) else version_of(path)

    def told_apart(self, listing: Listing) -> Listing:
        """A listing by names, as far as they count nothing that the files have themselves."""
        return listing if self._by_user else told_apart_by_files(listing, self._sample)

    def _with_warnings(self, listing: Listing) -> Listing:
        """A listing that says what is wrong beside the names as well."""
        return listing._replace(warnings=(*listing.warnings, *self._beside.said, *self._damaged))

    def place(self, key: PlaneKey) -> tuple[str, int] | None:
        """The file of a plane and its page, which contains all colours; None if there is none."""
        key = self._acquired(PlaneKey(*key))
        name = self.catalogue.files.get(self.pages.of_file(key))
        if name is None:
            return None
        inner = self.pages_at(key.p) if self.pages.roles else self.pages
        is_there = all(getattr(key, role) < inner.size(role) for role in self.pages.roles)
        return (self.listing.root + name, inner.page(key)) if is_there else None

    def _acquired(self, key: PlaneKey) -> PlaneKey:
        """The key with the channel index of the files, not of the display."""
        return key._replace(c=self.parts[key.c].of)

    def name_of(self, key: PlaneKey) -> str | None:
        """The file of a plane, below the root; None if there is none."""
        return self.catalogue.files.get(self.pages.of_file(self._acquired(key)))

    def has_channel(self, key: PlaneKey) -> bool:
        """Whether the position of a plane has its channel: one in colour has others than one in grey."""
        info = self.info
        own = info.image(key.p).channels
        return own is info.channels or channel_in(own, info.channels, key.c) is not None

    def kind_of(self, part: ChannelPart) -> PixelKind:
        """Of which kind the pixels of a channel are, by its first file."""
        return self.kinds[part.of if part.of < len(self.kinds) else 0]  # files of all channels have one

    def dtype_for(self, p: int, dtype: np.dtype) -> np.dtype:
        """The dtype of a position; it becomes one that holds `dtype` as well."""
        known = self.info.image(p).dtype
        assert known is not None, "a file was opened"
        if np.can_cast(dtype, known, "safe"):
            return known
        with self._lock:
            image = self.info.image(p)
            holding = np.result_type(dtype, known if image.dtype is None else image.dtype)
            self.info = self.info.with_image(p, replace(image, dtype=holding))
        return holding

    def warn(self, path: str, key: PlaneKey, what: str) -> None:
        """Note a file that is unlike others of its series."""
        warning = about_file(f"{presentable(path)} {what}", path, **key._asdict())
        with self._lock:
            if warning not in self.info.warnings and len(self.info.warnings) < _MAX_WARNINGS:
                self.info = replace(self.info, warnings=(*self.info.warnings, warning))

    def pages_at(self, p: int, *, every_channel: bool = True) -> PageAxes:
        """The pages of the files of a position, which has been looked at then: its first file was opened.

        On this computer, the first file of each channel, unless `every_channel` is False.
        """
        known = self._inners.get(p)
        if known is not None or not self.listing.pattern:
            return known or self.pages
        found = self._firsts.at(p)
        if found is None:  # reading that plane reports the error
            return self.pages
        first, sample = found
        inner = self.pages
        with contextlib.suppress(UnsupportedError):
            is_told = every_channel and not is_url(self.listing.root)
            own = self._pages_of(self._firsts.fullest_at(p, sample) if is_told else sample)
            inner = own if set(own.roles) <= set(inner.roles) else inner
        kinds = list(self.kinds)
        kinds[first.c : first.c + 1] = [PixelKind.of_picture(sample.picture)]
        if every_channel and not is_url(self.listing.root):
            kinds = self._firsts.kinds_at(p, kinds)
        with self._lock:
            self._inners[p] = inner
            image = self._image_of(sample, inner, kinds)
            self.info = self.info.with_image(p, image)
        for path, key, picture in self._firsts.pictures_at(p):
            if picture[:2] != sample.picture[:2]:
                self.warn(path, key, of_another_size(picture[:2], sample.picture[:2]))
        return inner

    def _pages_of(self, sample: Sample) -> PageAxes:
        said = self.listing.said
        return page_axes_of(sample, self.catalogue, 0 if said is None else said.n_z)

    def _image_of(self, sample: Sample, inner: PageAxes, kinds: Sequence[PixelKind]) -> ImageInfo:
        """What a position contains whose first file is `sample`; names tell of its times and z, if of any.

        Its channels become some of `parts`. The lock is held.
        """
        common = self.info.groups[0]
        channels = common.channels
        if [kind.in_colour for kind in kinds] != [kind.in_colour for kind in self.kinds]:
            parts = parts_shown(self.catalogue, self._sample, self.pages, kinds)
            channels = channels_of(parts, kinds, known=self.info.channels)
            self.parts = (*self.parts, *(part for part in parts if part not in self.parts))
        return image_info(common, sample, inner, self.pages.roles, channels, common_dtype(kinds))


def of_another_size(shape: tuple[int, int], size: tuple[int, int]) -> str:
    """What is said of an image whose size (Y, X) is not that of its position."""
    return (
        f"has {pixels_text(*shape)} pixels, but others of its series have {pixels_text(*size)}: not shown. "
        "Open it separately, or move it out of the folder"
    )
