"""Keys, and what they and the buttons do."""
