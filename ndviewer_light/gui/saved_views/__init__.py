"""What of a view outlives the viewer."""
