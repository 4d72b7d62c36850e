"""Where the chunks of an HDF5 dataset lie, for all index types of the file format."""
