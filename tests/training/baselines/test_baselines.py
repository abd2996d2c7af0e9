"""What every baseline promises, checked for each."""

import json

import numpy as np
import pytest
import skops.io
from sklearn.metrics import mean_absolute_error
from sklearn.preprocessing import FunctionTransformer

from bookpricer.training.baselines import BASELINES, load_baselines
from bookpricer.training.baselines.similar import KernelRidgeBaseline
from bookpricer.training.book import Book
from bookpricer.training.errors import InputError

from .conftest import ODD_BOOKS, make_books

LEARNS = [name for name in BASELINES if name not in ("random", "mean", "median")]
every = pytest.mark.parametrize("name", BASELINES)


@pytest.fixture(scope="session")
def fitted(learnable):
    (books, prices), _ = learnable
    return {name: kind().fit(books, prices) for name, kind in BASELINES.items()}


@pytest.fixture(scope="session")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("baselines")
    for name, baseline in fitted.items():
        baseline.save(folder / name)
    return folder


@every
def test_predicts_one_finite_price_within_the_range_for_any_book(fitted, name):
    prices = fitted[name].predict(ODD_BOOKS)
    assert prices.shape == (len(ODD_BOOKS),) and prices.dtype == np.float64
    assert ((prices >= 0.5) & (prices <= 999.49)).all()


@every
def test_a_saved_baseline_predicts_the_same(fitted, saved, learnable, name):
    books = [*learnable[1][0], *ODD_BOOKS]
    loaded = BASELINES[name].load(saved / name)
    np.testing.assert_array_equal(loaded.predict(books), fitted[name].predict(books))


@every
def test_a_prediction_is_of_its_book_alone(fitted, learnable, name):
    books = [*learnable[1][0][:30], *ODD_BOOKS]
    together = fitted[name].predict(books)
    np.testing.assert_allclose(fitted[name].predict(books[::-1])[::-1], together, rtol=1e-5)
    np.testing.assert_allclose([fitted[name].predict([book])[0] for book in books], together, rtol=1e-5)
    assert fitted[name].predict([]).shape == (0,)


@every
def test_does_not_read_the_price(fitted, learnable, name):
    books = learnable[1][0][:10]
    priced = [book.model_copy(update={"price": 777.0}) for book in books]
    np.testing.assert_array_equal(fitted[name].predict(priced), fitted[name].predict(books))


@every
def test_fitting_again_gives_the_same(fitted, learnable, name):
    (books, prices), (others, _) = learnable
    again = BASELINES[name]().fit(books, prices)
    np.testing.assert_allclose(again.predict(others), fitted[name].predict(others), rtol=1e-6)


@every
@pytest.mark.parametrize("n", [1, 2, 12])
def test_fits_few_books_and_books_without_text(name, n, tmp_path):
    books, prices = make_books(n, seed=3)
    for few in (books, [Book()] * n):
        baseline = BASELINES[name]().fit(few, prices)
        baseline.save(tmp_path / "few")
        assert np.isfinite(BASELINES[name].load(tmp_path / "few").predict([*books, *ODD_BOOKS])).all()
        for file in sorted((tmp_path / "few").rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()


@every
@pytest.mark.parametrize("prices", [[], [1.0, 2.0], [0.0], [np.nan], [[1.0]]])
def test_refuses_prices_that_are_not_one_positive_number_a_book(name, prices):
    with pytest.raises(InputError, match="one positive price"):
        BASELINES[name]().fit([Book(title="Emma")], prices)


@pytest.mark.parametrize("name", LEARNS)
def test_learns_more_than_the_constant(fitted, learnable, name):
    _, (books, prices) = learnable
    error = mean_absolute_error(prices, fitted[name].predict(books))
    assert error < (0.8 if name == "word2vec" else 0.55) * mean_absolute_error(prices, fitted["median"].predict(books))


def test_a_kernel_of_many_books_is_made_of_a_sample(learnable, monkeypatch):
    (books, prices), _ = learnable
    monkeypatch.setattr(KernelRidgeBaseline, "LIMIT", 60)
    fitted = KernelRidgeBaseline().fit(books, prices)
    assert len(fitted._model.regressor_.steps[-1][1].X_fit_) == 60 < len(books)
    assert np.corrcoef(np.log(fitted.predict(books)), np.log(prices))[0, 1] > 0.5


def test_the_median_is_the_best_constant_for_the_absolute_error(fitted, learnable):
    (books, prices), _ = learnable
    assert fitted["median"].predict(books)[0] == pytest.approx(np.median(prices))
    assert fitted["mean"].predict(books)[0] == pytest.approx(np.mean(prices))


# Files of strangers


def test_a_folder_gives_all_that_it_holds(saved):
    assert list(load_baselines(saved)) == list(BASELINES)
    assert load_baselines(saved / "nothing") == {}


def test_no_file_is_a_pickle(saved):
    kinds = {file.suffix for file in saved.rglob("*") if file.is_file()}
    assert kinds <= {".json", ".npy", ".safetensors", ".skops"}


def copy_of(saved, tmp_path, name):
    import shutil

    return shutil.copytree(saved / name, tmp_path / name)


def resign(folder):
    """What a stranger can do: hashes that fit the changed files."""
    from bookpricer.training.saving import write_manifest

    manifest = json.loads((folder / "manifest.json").read_text())
    write_manifest(folder, manifest["kind"], manifest["sha256"], manifest["settings"])


def refused(name, folder, words):
    with pytest.raises(InputError, match=words) as caught:
        BASELINES[name].load(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@every
def test_a_changed_file_is_refused(saved, tmp_path, name):
    folder = copy_of(saved, tmp_path, name)
    for file in [file for file in folder.rglob("*") if file.is_file() and file.name != "manifest.json"]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        refused(name, folder, "missing or was changed")
        file.unlink()
        refused(name, folder, "missing or was changed")
        break


@every
def test_a_foreign_folder_is_refused(saved, tmp_path, name):
    refused(name, saved / next(other for other in BASELINES if other != name), "not")
    refused(name, tmp_path, "missing or cannot be read")
    folder = copy_of(saved, tmp_path, name)
    (folder / "extra.bin").write_bytes(b"x")
    refused(name, folder, "does not name")
    (folder / "extra.bin").unlink()
    for text in ("{", "[]", '{"format_version": 1}', "null"):
        (folder / "manifest.json").write_text(text)
        refused(name, folder, "cannot be read")
    manifest = json.loads((saved / name / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}))
    refused(name, folder, "later version")


@pytest.mark.parametrize("name", ["linear_regression", "hist_gradient_boosting", "vector_boosting"])
def test_a_type_that_is_not_on_the_list_is_refused(saved, tmp_path, name):
    folder = copy_of(saved, tmp_path, name)
    skops.io.dump(FunctionTransformer(func=json.loads), folder / "model.skops")
    refused(name, folder, "was changed")
    resign(folder)
    refused(name, folder, "which no baseline is made of")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x80\x04K\x01.", b"\x93NUMPY" + bytes(64)])
@pytest.mark.parametrize("name", LEARNS)
def test_a_file_that_is_none_is_refused_even_if_its_hash_fits(saved, tmp_path, name, content):
    folder = copy_of(saved, tmp_path, name)
    for file in [file for file in folder.iterdir() if file.is_file() and file.name != "manifest.json"]:
        before = file.read_bytes()
        file.write_bytes(content)
        resign(folder)
        refused(name, folder, "again|not loaded")
        file.write_bytes(before)


def test_a_pickle_in_an_array_is_not_read(saved, tmp_path):
    folder = copy_of(saved, tmp_path, "neighbours")
    np.save(folder / "prices.npy", np.array([json.loads], dtype=object), allow_pickle=True)
    resign(folder)
    refused("neighbours", folder, "not a readable array")
