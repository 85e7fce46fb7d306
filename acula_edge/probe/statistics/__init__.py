"""Paired statistics whose unit is the subject (DESIGN section 5)."""
