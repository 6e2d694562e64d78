"""Accuracy of predicting a label from one latent: by a linear support vector machine or by a decision tree."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from equipoise.errors import InputError
from equipoise.metrics.discretise import Ints
from equipoise.metrics.result import Floats

_LARGEST = 1e3  # of the codes: far above it, LinearSVC stops before it has converged, or never
_DEPTHS, _FOLDS = 9, 10  # as in the code of the 2022 review: depths 1 to 9, chosen by 10-fold cross-validation


def svc_accuracy(x: Floats, labels: Ints, train: int, cost: float) -> float:
    """Return the accuracy on the rows after the first `train` of a balanced linear SVM fitted to those.

    x: [N]; labels: [N]; cost: the C of the SVM. A label without a training row always counts as an error. Codes above
    `_LARGEST` are scaled down to it. This changes only the penalty on the slope, which is negligible for such codes.
    """
    if (labels[:train] == labels[0]).all():
        return float((labels[train:] == labels[0]).mean())
    column = x[:, None] / max(1.0, float(np.abs(x).max()) / _LARGEST)
    model = LinearSVC(C=cost, class_weight="balanced", dual=False, tol=1e-8, random_state=0)
    model.fit(column[:train], labels[:train])
    return float((model.predict(column[train:]) == labels[train:]).mean())


def tree_accuracy(x: Floats, labels: Ints) -> float:
    """Return the accuracy on its own rows of a decision tree, with a depth of 1 to 9 from 10-fold cross-validation.

    x: [N]; labels: [N]. The folds are stratified. One tree per fold gives the accuracy of all depths, because for one
    latent a shallow tree is a deep tree cut off. Raises `InputError` if no label has as many rows as there are folds.
    """
    column = x[:, None]
    if np.bincount(labels).max() < _FOLDS:
        raise InputError(f"predictor tree: no value of a factor has {_FOLDS} rows; pass more rows, or choose svc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a rare value may be missing from a fold
        folds = list(StratifiedKFold(_FOLDS).split(column, labels))
    correct = [
        _correct_by_depth(column[train], labels[train], column[test], labels[test]).mean(axis=1)
        for train, test in folds
    ]
    depth = np.stack(correct, axis=1).mean(axis=1).argmax()
    return float(_correct_by_depth(column, labels, column, labels)[depth].mean())


def _correct_by_depth(column: Floats, labels: Ints, test: Floats, truth: Ints) -> NDArray[np.bool_]:
    """Return whether the tree cut at depth 1, 2, ... 9 predicts each test row correctly, [9, rows]."""
    model = DecisionTreeClassifier(max_depth=_DEPTHS, random_state=0).fit(column, labels)
    tree = model.tree_
    prediction = model.classes_[tree.value[:, 0].argmax(axis=1)]
    node = np.zeros(len(test), dtype=np.int64)
    correct = np.empty((_DEPTHS, len(test)), dtype=bool)
    for depth in range(_DEPTHS):
        inner = tree.children_left[node] >= 0
        left = test[:, 0].astype(np.float32) <= tree.threshold[node]
        node = np.where(inner, np.where(left, tree.children_left[node], tree.children_right[node]), node)
        correct[depth] = prediction[node] == truth
    return correct
