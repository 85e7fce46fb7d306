"""From corpora on disk to recordings with a split, their waves, and their reports."""
