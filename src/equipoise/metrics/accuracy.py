"""How often one latent alone tells the label: by a linear support vector machine, by a decision tree."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from equipoise.errors import InputError
from equipoise.metrics.discretise import Ints, encoded
from equipoise.metrics.result import Floats

_STEPS = 100  # Newton needs about 10
_CONVERGED = 1e-14  # Newton decrement over the loss
_DEPTHS, _FOLDS = 9, 10  # of the 2022 review's code: depth 1 to 9 by 10-fold cross-validation


def svc_accuracy(x: Floats, labels: Ints, train: int, cost: float) -> float:
    """Accuracy on the rows after the first `train` of a linear SVM fitted on those; x [N], labels [N].

    One value against the rest, squared hinge, L2 penalty that includes the intercept, the rows of a value weighed by
    N / (V n): the balanced LinearSVC of scikit-learn, solved exactly. A value that no row of training has is an error.
    """
    seen, values = encoded(labels[:train])
    original = np.zeros(values, dtype=np.int64)
    original[seen] = labels[:train]
    slope, intercept = _support_vectors(x[:train], seen, values, cost)
    guess = np.argmax(slope[:, None] * x[train:] + intercept[:, None], axis=0)
    return float((original[guess] == labels[train:]).mean())


def _support_vectors(x: Floats, labels: Ints, values: int, cost: float) -> tuple[Floats, Floats]:
    """Slopes [V] and intercepts [V], by Newton's method on all values at once.

    A row counts in the squared hinge where it lies on the wrong side of its margin. In one dimension that is an
    interval of the sorted rows, so that every sum over such rows is a difference of two prefix sums.
    """
    rows = len(x)
    middle, spread = float(x.mean()), float(np.ptp(x))
    scale = max(spread or abs(middle), 1e-100)
    shift, inverse = middle / scale, (1 / scale) ** 2
    order = np.argsort(x, kind="stable")
    u = (x[order] - middle) / scale  # sums of squares of the raw codes could overflow, or cancel
    by_value = np.argsort(labels[order], kind="stable")
    keys = labels[order][by_value] * (rows + 1) + by_value
    everyone, own = _prefix_sums(u), _prefix_sums(u[by_value])
    first = np.arange(values) * (rows + 1)
    hits = np.bincount(labels, minlength=values)
    mine = cost * rows / (values * hits)
    rest = cost * rows / (values * (rows - hits)) if values == 2 else np.full(values, cost)

    def members(low: Ints, high: Ints) -> Floats:
        """Sums [3, V] over the rows of each value among those sorted from low to high."""
        return own[:, np.searchsorted(keys, first + high)] - own[:, np.searchsorted(keys, first + low)]

    def derivatives(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
        """Loss [V], gradient [V, 2] and Hessian [V, 2, 2] at slopes a and values b at the middle."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a slope of 0 puts the margin at infinity
            inner, outer = (np.searchsorted(u, (side - b) / (a + 0.0)) for side in (1, -1))
        rising, start, end = a >= 0, np.zeros(values, dtype=np.int64), np.full(values, rows)
        hit = mine * members(np.where(rising, start, inner), np.where(rising, inner, end))
        low, high = np.where(rising, outer, start), np.where(rising, end, outer)
        miss = rest * (everyone[:, high] - everyone[:, low] - members(low, high))
        ones, linear, square = hit + miss
        bias = b - a * shift
        loss = 0.5 * (a**2 * inverse + bias**2) + ones + a**2 * square + 2 * a * b * linear + b**2 * ones
        loss -= 2 * (a * (hit - miss)[1] + b * (hit - miss)[0])
        gradient = np.stack(
            [
                a * inverse - shift * bias + 2 * (a * square + b * linear - (hit - miss)[1]),
                bias + 2 * (a * linear + b * ones - (hit - miss)[0]),
            ],
            axis=1,
        )
        cross = 2 * linear - shift
        hessian = np.stack([inverse + shift**2 + 2 * square, cross, cross, 1 + 2 * ones], axis=1)
        return loss, gradient, hessian.reshape(-1, 2, 2)

    theta = np.zeros((values, 2))
    loss, gradient, hessian = derivatives(theta[:, 0], theta[:, 1])
    for _ in range(_STEPS):
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        if (np.einsum("vi,vi->v", gradient, step) <= _CONVERGED * loss).all():
            break
        length = np.ones((values, 1))
        while True:  # the set of rows that count changes on the way: halve a step until the loss does not rise
            ahead = theta - length * step
            ahead_loss, gradient, hessian = derivatives(ahead[:, 0], ahead[:, 1])
            higher = ahead_loss > loss * (1 + 1e-12)
            if not higher.any():
                break
            length[higher] /= 2
        theta, loss = ahead, ahead_loss
    slope = theta[:, 0] / scale
    return slope, theta[:, 1] - slope * middle


def _prefix_sums(u: Floats) -> Floats:
    """Sums of 1, u and u^2 over the first 0 to N rows, [3, N + 1]."""
    sums = np.zeros((3, len(u) + 1))
    np.cumsum([np.ones_like(u), u, u * u], axis=1, out=sums[:, 1:])
    return sums


def tree_accuracy(x: Floats, labels: Ints) -> float:
    """Accuracy on its own rows of a decision tree whose depth, 1 to 9, was chosen by 10-fold cross-validation.

    x: [N]; labels: [N]. The folds hold equal shares of every value. Of one latent a shallow tree is a deep one cut
    off: one tree for each fold serves all depths.
    """
    column = x[:, None]
    if np.bincount(labels).max() < _FOLDS:
        raise InputError(f"predictor tree: no value of a factor has {_FOLDS} rows; pass more rows, or choose svc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a rare value may be missing from a fold
        folds = list(StratifiedKFold(_FOLDS).split(column, labels))
    right = [
        _right_by_depth(column[train], labels[train], column[test], labels[test]).mean(axis=1) for train, test in folds
    ]
    depth = int(np.argmax([accuracies.mean() for accuracies in np.array(right).T.copy()]))
    return float(_right_by_depth(column, labels, column, labels)[depth].mean())


def _right_by_depth(column: Floats, labels: Ints, test: Floats, truth: Ints) -> NDArray[np.bool_]:
    """Whether each test row is told rightly by the tree cut at depth 1, 2, ... 9, [9, rows]."""
    model = DecisionTreeClassifier(max_depth=_DEPTHS, random_state=0).fit(column, labels)
    tree = model.tree_
    guess = model.classes_[tree.value[:, 0].argmax(axis=1)]
    node = np.zeros(len(test), dtype=np.int64)
    right = np.empty((_DEPTHS, len(test)), dtype=bool)
    for depth in range(_DEPTHS):
        inner = tree.children_left[node] >= 0
        left = test[:, 0].astype(np.float32) <= tree.threshold[node]
        node = np.where(inner, np.where(left, tree.children_left[node], tree.children_right[node]), node)
        right[depth] = guess[node] == truth
    return right
