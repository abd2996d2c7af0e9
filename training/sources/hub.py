"""A data set of the Hugging Face hub, or a local copy of one, streamed through `datasets`: no download of the whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..columns import recognise_columns
from ..errors import InputError
from .catalog import Catalog, Row

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
# Splits that hold everything, in data sets of raw records.
_WHOLE = ("full", "train", "all")


@dataclass(frozen=True, kw_only=True)
class HubCatalog(Catalog):
    """One split of a data set."""

    name: str
    config: str | None
    split: str
    revision: str | None
    length: int | None = None

    def rows(self) -> Iterator[Row]:
        """Every record, as it comes over the network."""
        try:
            for number, values in enumerate(_load(self.name, self.config, self.split, self.revision), start=1):
                yield Row(number, values)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"the data set {self.name} stopped ({_first_line(error)}); run the same command again to go on"
            ) from error

    def known_count(self) -> int | None:
        """As the data set's card says."""
        return self.length

    def fingerprint(self) -> str:
        """The names by which the records were asked for."""
        return json.dumps([self.name, self.config, self.split, self.revision])


def is_hub_id(source: str) -> bool:
    """Whether a source that is no file or folder could be a data set's id."""
    known = (".csv", ".tsv", ".txt", ".jsonl", ".json", ".ndjson", ".parquet", ".xlsx", ".gz", ".bz2", ".xz", ".zip")
    return bool(_HUB_ID.fullmatch(source)) and "/" in source and not source.lower().endswith(known)


def open_hub(
    name: str,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    overrides: Mapping[str, str] | None = None,
) -> HubCatalog:
    """Look at a data set and say how it is to be read.

    Args:
        name: the id on the hub, such as `owner/name`, or a local folder in the hub's layout.
        config: which configuration; not needed where there is one.
        split: which split; `full`, `train` or the only one if not given.
        revision: branch, tag or commit; the newest if not given.
        overrides: what the user says a column is, `{column: field}`.

    Raises:
        InputError: no such data set, configuration, split or revision, a gated one, or no network.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError("data sets of the hub need the extra 'train': pip install 'bookpricer[train]'") from error
    try:
        splits = datasets.get_dataset_split_names(name, config, revision=revision)
        if split is None:
            split = splits[0] if len(splits) == 1 else next((whole for whole in _WHOLE if whole in splits), None)
        if split is None or split not in splits:
            missing = f"has no split {split!r}" if split else "has several splits"
            raise InputError(f"the data set {name} {missing}; pass --split with one of: {', '.join(splits)}")
        stream = _load(name, config, split, revision)
    except InputError:
        raise
    except Exception as error:  # the hub's client raises what its HTTP library raises
        raise InputError(
            f"the data set {name} cannot be opened ({_first_line(error)}); check its name, --config, --revision, "
            "the network, and for a gated one `hf auth login`"
        ) from error
    columns = tuple(stream.column_names or ())
    info = (stream.info.splits or {}).get(split) if stream.info else None
    return HubCatalog(
        path=Path(name),
        columns=columns,
        mapping=recognise_columns(columns, overrides or {}) if columns else None,
        overrides=overrides or {},
        name=name,
        config=config,
        split=split,
        revision=revision,
        length=info.num_examples if info else None,
    )


def _load(name: str, config: str | None, split: str, revision: str | None) -> Any:
    import datasets

    return datasets.load_dataset(name, config, split=split, revision=revision, streaming=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
