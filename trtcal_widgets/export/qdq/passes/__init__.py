"""One rule a module: each takes what is decided so far and returns what is decided with it."""
