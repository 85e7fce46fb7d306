"""The bundle: what its files say (schema), how it is read, written and sealed, and what it shows for itself."""
