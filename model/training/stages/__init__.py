"""The stages of the recipe, one file each: a config dataclass beside the class that does it."""
