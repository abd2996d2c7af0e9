"""The embedded demonstration model: its recipe, and its weights in `base/` and `pricer/`."""
