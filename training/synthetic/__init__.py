"""A synthetic catalogue: invented books, listed as shops list them, priced by documented trade rules.

What it is for, its rules and where their figures come from: README.md beside this file.
"""

from .catalog import synthetic_records

__all__ = ["synthetic_records"]
