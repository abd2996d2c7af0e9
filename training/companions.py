"""What stands beside a language model in its folder to cross-check it: comparables, and the blend of all methods.

Knows books, estimates and folders; the baselines, and their out-of-fold estimates, are the caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .baselines import Baseline
from .blend import MIN_FIT_BOOKS, NEIGHBOURS, Opinions, fit_blend
from .comparables import Comparables
from .dataset import PricedBook
from .distribution import PriceDistribution
from .model_folder import ModelFolder
from .neighbours import COMPONENTS


def fit_companions(
    folder: ModelFolder,
    train: Sequence[PricedBook],
    calibration: Sequence[PricedBook],
    *,
    baselines: Mapping[str, Baseline],
    estimates: Mapping[str, NDArray[np.float64]],
    distributions: Sequence[PriceDistribution],
    components: int = COMPONENTS,
) -> bool:
    """Write `comparables/` and `blend/` of a model folder.

    Args:
        folder: where to.
        train: n books, which the baselines were fitted on; they become the comparables.
        calibration: m books that nothing was fitted on, at least 20.
        baselines: the fitted ones that are blended, by name.
        estimates: their out-of-fold estimates of the training books, shape (n,) each.
        distributions: the language model's of the calibration books, m.
        components: dimensions of the comparables' vectors.

    Returns:
        Whether there is a blend: it needs 200 training books.
    """
    comparables = Comparables.fit(train, components=components)
    comparables.save(folder.comparables)
    if len(train) < MIN_FIT_BOOKS:
        return False
    asked = [priced.book for priced in calibration]
    fit_blend(
        Opinions([priced.book for priced in train], estimates, comparables.index.query_own(NEIGHBOURS)),
        [priced.units for priced in train],
        Opinions(
            asked,
            {name: baseline.predict(asked) for name, baseline in baselines.items()},
            comparables.index.query(asked, NEIGHBOURS),
            distributions,
        ),
        [priced.units for priced in calibration],
        folder.blend,
    )
    return True
