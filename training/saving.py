"""How fitted models lie on disk, so that a stranger's can be opened: no pickle, hashes, a fixed list of types.

A folder holds its files and a `manifest.json` that names its kind and the SHA-256 of each. The hashes find what was
damaged or changed; that nothing runs on loading is the work of the formats: JSON, .npy, safetensors, and skops with
the types of `TRUSTED` and no other.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
# Beyond what skops trusts by itself (scikit-learn's estimators, numpy's arrays): what fitted boosting and forests are
# made of. A forest's trees are walked by compiled code that checks nothing: see `check_forest`.
TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.model_selection._split.KFold",
        "sklearn.tree._tree.Tree",
    }
)


def write_manifest(folder: Path, kind: str, files: Iterable[str], settings: dict[str, Any] | None = None) -> None:
    """Write the manifest of a folder's files, which makes it whole: write it last."""
    hashes = {name: _hash(folder / name) for name in sorted(files)}
    manifest = {"format_version": FORMAT_VERSION, "kind": kind, "settings": settings or {}, "sha256": hashes}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def check_manifest(folder: Path, kind: str) -> dict[str, Any]:
    """The settings in a folder's manifest, after all its files were found to be those that were written.

    Raises:
        InputError: no manifest, one of another kind or a later version, or a file that is missing or was changed.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, found, settings, hashes = (manifest[key] for key in ("format_version", "kind", "settings", "sha256"))
        if not isinstance(settings, dict) or not isinstance(hashes, dict) or not isinstance(version, int):
            raise ValueError("not a manifest")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is missing or cannot be read; fit the baselines again") from error
    if version > FORMAT_VERSION:
        raise InputError(f"{folder} was written by a later version of Book Pricer; upgrade to use it")
    if found != kind:
        raise InputError(f"{folder} holds {str(found)[:40]!r}, not {kind!r}; fit the baselines again")
    for name, expected in hashes.items():
        if Path(name).name != name or not (folder / name).is_file() or _hash(folder / name) != expected:
            raise InputError(f"{folder / Path(name).name} is missing or was changed; fit the baselines again")
    if unlisted := {file.name for file in folder.iterdir() if file.is_file()} - {MANIFEST, *hashes}:
        raise InputError(f"{folder} holds {sorted(unlisted)[0]}, which its manifest does not name; remove it")
    return settings


def save_estimator(estimator: Any, path: Path) -> None:
    """Write a fitted scikit-learn estimator with skops."""
    import zipfile

    import skops.io

    skops.io.dump(estimator, path, compression=zipfile.ZIP_DEFLATED)


def load_estimator(path: Path) -> Any:
    """Read what `save_estimator` wrote.

    Raises:
        InputError: not a skops file, one that holds a type not on the list, or one that cannot be read.
    """
    import skops.io

    try:
        unknown = set(skops.io.get_untrusted_types(file=path)) - TRUSTED
        if unknown:
            raise InputError(f"{path} holds {sorted(unknown)[0]}, which no baseline is made of; it is not loaded")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, on a version other than the one that fitted
            return skops.io.load(path, trusted=sorted(TRUSTED))
    except InputError:
        raise
    except Exception as error:  # skops raises many kinds for a damaged or foreign file
        raise InputError(f"{path} is not a readable model ({type(error).__name__}); fit the baselines again") from error


def check_forest(forest: Any, features: int, outputs: int) -> bool:
    """Whether a loaded scikit-learn forest is one of regression trees of this shape, each of which can be walked.

    A crafted tree could send whoever walks it beyond its nodes, or around in a circle: in a fitted one every child
    comes after its parent.
    """
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.tree import ExtraTreeRegressor

    if not isinstance(forest, ExtraTreesRegressor) or (forest.n_features_in_, forest.n_outputs_) != (features, outputs):
        return False
    for estimator in forest.estimators_:
        if not isinstance(estimator, ExtraTreeRegressor):
            return False
        tree = estimator.tree_
        left, right, nodes = tree.children_left, tree.children_right, np.arange(tree.node_count)
        inner = left != -1
        walkable = (
            tree.value.shape == (tree.node_count, outputs, 1)
            and tree.n_features == features
            and (left[inner] > nodes[inner]).all()
            and (right[inner] > nodes[inner]).all()
            and max(left.max(initial=-1), right.max(initial=-1)) < tree.node_count
            and ((tree.feature[inner] >= 0) & (tree.feature[inner] < features)).all()
        )
        if not (walkable and tree.node_count):
            return False
    return bool(forest.estimators_)


def read_array(path: Path, dtype: Any) -> NDArray[Any]:
    """An .npy file, mapped into memory, of the given type.

    Raises:
        InputError: not such a file.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is not a readable array; fit the baselines again") from error
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
        raise InputError(f"{path} is not an array of {np.dtype(dtype)}; fit the baselines again")
    return np.asarray(array)


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        InputError: not such a file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON; fit the baselines again") from error


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
