"""The rules themselves, one file per subject; each registers what it holds."""
