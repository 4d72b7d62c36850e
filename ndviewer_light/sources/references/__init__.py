"""References to chunks in other files: kerchunk and LINDI."""
