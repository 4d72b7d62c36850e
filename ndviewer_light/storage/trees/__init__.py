"""Trees of small files: the metadata of an OME-Zarr dataset, local, remote or in an archive."""
