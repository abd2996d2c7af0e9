import json

import numpy as np
import pytest
from pydantic import ValidationError

from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.estimate import Comparable, PriceEstimate

DISTRIBUTION = PriceDistribution(np.arange(PRICES) + 1)
ESTIMATE = PriceEstimate(
    price=37.5,
    low=20,
    high=60,
    coverage=0.8,
    confidence=0.4,
    method="cross_check",
    model="embedded",
    currency="VND",
    unit=1000,
    baselines={"ridge": 30.0},
    comparables=[Comparable(title="Emma", price=12, similarity=0.9)],
    agreement="mixed",
    flags=["wide_interval"],
    warnings=["The interval is wide."],
    distribution=DISTRIBUTION,
)


def test_json_leaves_the_distribution_out():
    assert "distribution" not in json.loads(ESTIMATE.model_dump_json())
    assert "distribution" not in ESTIMATE.model_dump()
    assert json.loads(ESTIMATE.model_dump_json()) == ESTIMATE.model_dump()


def test_json_has_the_distribution_where_asked_for():
    data = json.loads(ESTIMATE.model_dump_json(context={"distribution": True}))
    assert data.pop("distribution") == pytest.approx(DISTRIBUTION.probabilities.tolist(), abs=1e-9)
    assert data == ESTIMATE.model_dump()
    assert "distribution" not in json.loads(ESTIMATE.model_dump_json(context={"distribution": False}))
    bare = ESTIMATE.model_copy(update={"distribution": None})
    assert "distribution" not in json.loads(bare.model_dump_json(context={"distribution": True}))


def test_writing_leaves_the_estimate_as_it_was():
    ESTIMATE.model_dump_json()
    assert ESTIMATE.distribution is DISTRIBUTION


def test_survives_json():
    again = PriceEstimate.model_validate_json(ESTIMATE.model_dump_json())
    assert again == ESTIMATE.model_copy(update={"distribution": None})
    assert PriceEstimate.model_validate(ESTIMATE.model_dump()) == again


def test_survives_json_with_its_distribution():
    again = PriceEstimate.model_validate_json(ESTIMATE.model_dump_json(context={"distribution": True}))
    assert again.distribution is not None
    assert again.distribution.probabilities == pytest.approx(DISTRIBUTION.probabilities, abs=1e-8)
    assert again.model_dump() == ESTIMATE.model_dump()


def test_a_number_alone_is_an_estimate():
    estimate = PriceEstimate(price=12, method="text", model="other")
    assert (estimate.low, estimate.high, estimate.coverage, estimate.confidence) == (None, None, None, None)
    assert (estimate.currency, estimate.unit, estimate.flags, estimate.warnings) == ("USD", 1, [], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 1.1},
        {"confidence": -0.1},
        {"flags": ["unknown"]},
        {"agreement": "perhaps"},
        {"price": "much"},
        {"distribution": [0.5]},
        {"distribution": "none"},
    ],
)
def test_refuses_what_is_no_estimate(wrong):
    with pytest.raises(ValidationError):
        PriceEstimate.model_validate({"price": 1, "method": "llm", "model": "m", **wrong})


def test_is_frozen():
    with pytest.raises(ValidationError):
        ESTIMATE.price = 5
