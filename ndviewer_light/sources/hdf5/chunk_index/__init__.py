"""Where the chunks of an HDF5 dataset are, for all index types of the file format."""
