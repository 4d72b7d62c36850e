"""TIFFs as Squid writes them, one per plane, in stacks or as OME-TIFF, and single ones."""
