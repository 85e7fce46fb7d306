"""Latency, memory and energy on this machine (DESIGN section 6)."""
