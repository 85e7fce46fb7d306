"""One module per corpus; each registers a reader."""
