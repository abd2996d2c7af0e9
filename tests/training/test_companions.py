import numpy as np
import pytest

from bookpricer.training.baselines import BASELINES
from bookpricer.training.blend import Blend
from bookpricer.training.companions import fit_companions
from bookpricer.training.comparables import Comparables
from bookpricer.training.distribution import PriceDistribution
from bookpricer.training.model_folder import ModelFolder


@pytest.mark.parametrize("n", [60, 260])
def test_comparables_always_and_a_blend_of_enough_books(synthetic_books, tmp_path, n):
    books, held = synthetic_books(n, seed=7), synthetic_books(40, seed=8)
    asked, units = [priced.book for priced in books], np.array([priced.units for priced in books])
    kinds = {name: BASELINES[name] for name in ("linear_regression", "neighbours")}
    flat = PriceDistribution(np.ones(1000))
    blended = fit_companions(
        ModelFolder(tmp_path), books, held,
        baselines={name: kind().fit(asked, units) for name, kind in kinds.items()},
        estimates={name: units * factor for name, factor in zip(kinds, (0.9, 1.2), strict=True)},
        distributions=[flat] * len(held),
    )  # fmt: skip
    assert len(Comparables.load(ModelFolder(tmp_path).comparables)) == n
    assert blended is (n == 260) and ModelFolder(tmp_path).blend.exists() is blended
    if blended:
        assert Blend.load(ModelFolder(tmp_path).blend).baselines == tuple(kinds)
