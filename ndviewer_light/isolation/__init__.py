"""A source in a separate process: the client, the server, and the messages between them."""
