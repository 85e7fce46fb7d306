"""One module per report writer; each registers itself."""
