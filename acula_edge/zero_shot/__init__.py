"""What the shared space of sounds and reports answers without a probe: text prompts, and the report of a recording."""
