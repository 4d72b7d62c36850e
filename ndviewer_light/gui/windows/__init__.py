"""Our own windows, and the application that opens them."""
