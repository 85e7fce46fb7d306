"""Recordings into windows: decode, resample, trim, pad, cut. NumPy only."""
