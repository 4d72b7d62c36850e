"""Other ways to understand what is open: offered, chosen, and remembered by path."""
