"""Alignment: the encoder's representation of a recording is taught to agree with the report's (SPEC section 1)."""
