import numpy as np
import pytest

from bookpricer.training.blend import Blend, Opinions, fit_blend
from bookpricer.training.book import Book
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.errors import InputError
from bookpricer.training.neighbours import Neighbours


def make(n, seed):
    """Books whose price one baseline knows well, one knows badly, and neighbours know a little."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(3, 0.7, n)
    prices = np.exp(logs)
    good, bad = np.exp(logs + rng.normal(0, 0.2, n)), np.exp(logs + rng.normal(0.4, 0.8, n))
    near = np.exp(logs[:, None] + rng.normal(0, 0.6, (n, 6)))
    neighbours = Neighbours(np.tile(np.arange(6), (n, 1)), np.full((n, 6), 0.5, np.float32), near)
    books = [Book(title=f"Book {seed} {i}", rating_number=int(i)) for i in range(n)]
    return Opinions(books, {"good": good, "bad": bad, "random": rng.uniform(0, 999, n)}, neighbours), prices


def point(price, width=0.3):
    """A language model's distribution around a price."""
    logs = np.log(np.arange(PRICES) + 0.5)
    return PriceDistribution(np.exp(-0.5 * ((logs - np.log(price)) / width) ** 2) + 1e-12)


@pytest.fixture(scope="module")
def fitted():
    train, prices = make(600, 1)
    held, held_prices = make(300, 2)
    return fit_blend(train, prices, held, held_prices)


def test_it_is_better_than_each_of_its_parts_and_than_their_mean(fitted):
    opinions, prices = make(500, 3)
    medians = np.array([distribution.median for distribution in fitted.distributions(opinions)])
    error = np.abs(medians - prices).mean()
    parts = [opinions.baselines["good"], opinions.baselines["bad"], opinions.neighbours.prices.mean(axis=1)]
    parts.append(np.exp(np.mean([np.log(opinions.baselines[name]) for name in ("good", "bad")], axis=0)))
    assert error < min(np.abs(part - prices).mean() for part in parts)
    assert fitted.baselines == ("good", "bad")  # what says anything of every book is not asked


def test_its_intervals_hold_what_they_promise(fitted):
    opinions, prices = make(500, 4)
    intervals = [fitted.calibration.interval(d, 0.8) for d in fitted.distributions(opinions)]
    held = np.mean([low <= price <= high for (low, high), price in zip(intervals, prices, strict=True)])
    assert 0.73 < held < 0.88


def test_a_language_model_is_weighed_by_how_good_it_is():
    opinions, prices = make(400, 5)
    train, train_prices = make(600, 1)
    weights = {}
    for name, noise in (("perfect", 0.0), ("poor", 1.5)):
        rng = np.random.default_rng(6)
        own = [point(price * np.exp(rng.normal(0, noise))) for price in prices]
        told = Opinions(opinions.books, opinions.baselines, opinions.neighbours, own)
        weights[name] = fit_blend(train, train_prices, told, prices).llm_weight
    assert weights["perfect"] > 0.7 and weights["poor"] < 0.3


def test_a_language_model_that_adds_nothing_has_no_weight(fitted):
    """It says what the blend says, give or take: a few hundred books cannot tell."""
    opinions, prices = make(400, 16)
    rng = np.random.default_rng(17)
    echo = [point(d.median * np.exp(rng.normal(0, 0.02))) for d in fitted.distributions(opinions)]
    told = Opinions(opinions.books, opinions.baselines, opinions.neighbours, echo)
    assert fit_blend(*make(600, 1), told, prices).llm_weight == 0


def test_agreement_follows_the_doubts_of_the_calibration_books(fitted):
    opinions, _ = make(1000, 7)
    words = [fitted.agreement(doubt) for doubt in fitted.doubts(opinions, fitted.distributions(opinions))]
    shares = {word: words.count(word) / 1000 for word in ("agree", "mixed", "disagree")}
    assert 0.4 < shares["agree"] < 0.6 and 0.01 < shares["disagree"] < 0.09


def test_a_method_that_says_nothing_has_no_say(fitted):
    opinions, prices = make(600, 13)
    noise = np.random.default_rng(14).uniform(1, 999, 600)
    told = Opinions(opinions.books, dict(opinions.baselines, noise=noise), opinions.neighbours)
    blend = Blend().fit(told, prices)
    shouted = Opinions(opinions.books, dict(told.baselines, noise=noise * 3), opinions.neighbours)
    quiet, loud = (np.array([d.median for d in blend.distributions(o)]) for o in (told, shouted))
    assert np.quantile(np.abs(np.log(loud / quiet)), 0.9) < 0.1


def test_saved_and_loaded_it_answers_the_same(fitted, tmp_path):
    opinions, _ = make(20, 8)
    fitted.save(tmp_path)
    loaded = Blend.load(tmp_path)
    for one, other in zip(fitted.distributions(opinions), loaded.distributions(opinions), strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities)
    assert loaded.agree == fitted.agree and loaded.calibration == fitted.calibration
    assert not [file for file in tmp_path.iterdir() if file.suffix in (".pkl", ".joblib")]
    (tmp_path / "errors.npy").write_bytes(b"x")
    with pytest.raises(InputError, match="changed"):
        Blend.load(tmp_path)


@pytest.mark.parametrize("child", [0, 10**6, -2])
def test_a_crafted_tree_is_refused(child, tmp_path):
    """Compiled code would follow it beyond the nodes, or around in a circle."""
    opinions, prices = make(250, 15)
    blend = Blend().fit(opinions, prices)
    blend._forest.estimators_[3].tree_.children_right[0] = child
    blend.save(tmp_path)
    with pytest.raises(InputError, match="does not fit"):
        Blend.load(tmp_path)


def test_a_book_in_a_batch_is_priced_as_alone(fitted):
    opinions, _ = make(50, 9)
    together = [d.median for d in fitted.distributions(opinions)]
    alone = [fitted.distributions(opinions.select(np.array([i])))[0].median for i in range(50)]
    np.testing.assert_allclose(together, alone)


def test_books_without_neighbours_are_priced_too(fitted):
    opinions, _ = make(5, 10)
    none = Neighbours(np.full((5, 2), -1), np.full((5, 2), -np.inf, np.float32), np.full((5, 2), np.nan))
    assert all(d.median > 0 for d in fitted.distributions(Opinions(opinions.books, opinions.baselines, none)))


def test_too_few_books_or_methods_are_refused():
    opinions, prices = make(50, 11)
    with pytest.raises(InputError, match="at least 200"):
        Blend().fit(opinions, prices)
    opinions, prices = make(300, 12)
    with pytest.raises(InputError, match="needs a baseline"):
        Blend().fit(Opinions(opinions.books, {"mean": np.ones(300)}, opinions.neighbours), prices)
