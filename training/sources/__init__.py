"""Reads the rows of any catalogue one at a time: a file, compressed or not, a folder of them, a data set of the hub."""

from __future__ import annotations

from .catalog import Catalog, Row, row_mapping
from .files import open_catalog
from .hub import is_hub_id, open_hub

__all__ = ["Catalog", "Row", "is_hub_id", "open_catalog", "open_hub", "row_mapping"]
