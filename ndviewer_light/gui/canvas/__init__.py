"""The picture: what is drawn, its contrast, and the text drawn over it."""
