"""The page that prices a catalogue: upload, price, download. Knows forms and tables; the job is `chains.catalog`'s."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from ...training.errors import BookPricerError
from .words import plain, sentence

if TYPE_CHECKING:
    from ...chains.catalog import CatalogReport
    from ...chains.pricing import PricingChain

_TYPES = ("csv", "tsv", "jsonl", "xlsx", "parquet")
_SHOWN_ROWS, _SHOWN_REASONS = 200, 20


def show(get_chain: Callable[[], PricingChain]) -> None:
    """Draw the page; the chain is asked for once the form is there."""
    st.title("Price a catalogue", anchor=False)
    st.markdown(
        "Upload a file of books under whatever names its columns have. You get it back with a price, an interval and "
        "flags in each row; your own price column is kept, and never shown to the model."
    )
    uploaded = st.file_uploader("Catalogue", type=list(_TYPES), key="catalogue_file")
    if uploaded is None:
        st.session_state.pop("catalogue_result", None)
        return
    name = Path(uploaded.name).name
    if st.button("Price this catalogue", type="primary", icon=":material/sell:", key="catalogue_price"):
        st.session_state.pop("catalogue_result", None)
        try:
            st.session_state["catalogue_result"] = (uploaded.file_id, *_price(get_chain(), name, uploaded.getvalue()))
        except BookPricerError as error:
            st.error(sentence(error), icon=":material/error:")
    result = st.session_state.get("catalogue_result")
    if result and result[0] == uploaded.file_id:
        _show_result(name, *result[1:])


def _price(chain: PricingChain, name: str, data: bytes) -> tuple[CatalogReport, bytes]:
    """The report of the job and the priced catalogue as CSV."""
    from ...chains.catalog import price_catalog
    from ...training.sources import open_catalog

    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / f"catalogue{Path(name).suffix.lower()}", Path(folder) / "priced.csv"
        source.write_bytes(data)
        try:
            total = max(open_catalog(source).count(), 1)
            bar, done = st.progress(0.0, "Pricing …"), 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                bar.progress(min(done / total, 1.0), f"{done:,} of {total:,} books")

            report = price_catalog(chain, source, out, progress=advance)
        except BookPricerError as error:
            # The user knows the file by its own name, not by where it lies here.
            raise type(error)(str(error).replace(str(source), name)) from error
        bar.empty()
        return report, out.read_bytes()


def _show_result(name: str, report: CatalogReport, priced: bytes) -> None:
    st.success(f"{report.priced:,} of {report.rows:,} rows are priced.", icon=":material/check_circle:")
    st.download_button(
        "Download the priced catalogue", priced, f"{Path(name).stem}-priced.csv", "text/csv", on_click="ignore",
        icon=":material/download:", key="catalogue_download",
    )  # fmt: skip
    for number, reason in report.rejections[:_SHOWN_REASONS]:
        st.caption(plain(f"Row {number} is not priced: {reason}"))
    if len(report.rejections) > _SHOWN_REASONS:
        st.caption(f"… and {len(report.rejections) - _SHOWN_REASONS:,} more, marked 'rejected' in the file")
    table = pd.read_csv(io.BytesIO(priced), nrows=_SHOWN_ROWS, dtype=str, keep_default_na=False)
    first = ["price_estimate", "price_low", "price_high", "flags", "status", "reason"]
    titles = [column for column in table.columns if column not in first][:2]
    st.dataframe(table[[*titles, *first]], hide_index=True, key="catalogue_table")
