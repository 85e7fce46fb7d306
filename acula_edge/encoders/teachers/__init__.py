"""Teacher encoders, one small file each; importing the package registers none, the registry does."""
