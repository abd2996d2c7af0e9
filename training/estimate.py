"""The answer: what every caller gets for a book, whichever method gave it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, field_validator, model_serializer
from pydantic_core.core_schema import SerializationInfo

from .distribution import PriceDistribution

Flag = Literal["disagreement", "wide_interval", "out_of_range", "little_text", "currency_mismatch"]
Agreement = Literal["agree", "mixed", "disagree"]

DEFAULT_COVERAGE = 0.8
# "Right" in the field's hit rate: within 20 % of the price.
CLOSE = 0.2


class Comparable(BaseModel):
    """A priced book like the one asked for."""

    model_config = ConfigDict(frozen=True)

    title: str
    price: float
    similarity: float


class PriceEstimate(BaseModel):
    """A price for one book, with how sure it is.

    `price`, `low` and `high` are in `currency`; `low`, `high`, `coverage` and `confidence` are None where a method
    gives a number only. The distribution (over units) stays out of JSON unless asked for:
    `estimate.model_dump_json(context={"distribution": True})`.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    price: float
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    confidence: float | None = Field(None, ge=0, le=1)
    method: str
    model: str
    currency: str = "USD"
    unit: float = 1.0
    baselines: dict[str, float] = {}
    comparables: list[Comparable] = []
    agreement: Agreement | None = None
    flags: list[Flag] = []
    warnings: list[str] = []
    distribution: PriceDistribution | None = None

    @field_validator("distribution", mode="before")
    @classmethod
    def _read_distribution(cls, value: Any) -> Any:
        return PriceDistribution(np.asarray(value)) if isinstance(value, list) else value

    @model_serializer(mode="wrap")
    def _leave_out_distribution(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        distribution = self.distribution
        data: dict[str, Any] = handler(self.model_copy(update={"distribution": None}))
        data.pop("distribution", None)
        if distribution is not None and (info.context or {}).get("distribution"):
            data["distribution"] = np.round(distribution.probabilities, 9).tolist()
        return data
