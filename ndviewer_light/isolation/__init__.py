"""A source in a process of its own: the client here, the server there, and what crosses between them."""
