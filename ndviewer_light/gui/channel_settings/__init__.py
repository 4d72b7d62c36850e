"""What is chosen for channels: contrast, colour, visibility; remembered by name."""
