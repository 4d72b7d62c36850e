"""What planes look like, in numbers: contrast, colour maps, composites and what is written on them. No Qt."""
