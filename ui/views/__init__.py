"""The pages of the front end, one module each."""
