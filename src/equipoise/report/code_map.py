"""A map of the codes: images in a plane, near each other where their codes are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from equipoise.codes import latent_columns
from equipoise.errors import InputError, choose, import_package, short
from equipoise.report.latents import ACTIVE, Array, latent_variances
from equipoise.torch_defaults import torch_threads

Kind = Literal["pca", "umap"]
KINDS: tuple[str, ...] = get_args(Kind)

POINTS = 1000  # images on a map
CLUSTERS = 8  # the largest number of clusters
CLEAR = 0.25  # silhouette below which there are no clusters (Kaufman & Rousseeuw, 1990, table 4 of chapter 2)


@dataclass(frozen=True)
class CodeMap:
    """The first n images of the codes in a plane: `points` [n, 2] are their places, `axes` the labels."""

    points: Array
    axes: tuple[str, str]
    summary: str  # what the axes are, one sentence


@dataclass(frozen=True)
class Clusters:
    """Clusters of codes: the number [n] of each code, 0 for the largest cluster, and their silhouette, -1 to 1."""

    labels: NDArray[np.int64]
    silhouette: float


def arrange(codes: NDArray[Any], kind: Kind = "pca", latents: Sequence[int] | None = None) -> CodeMap:
    """Return a map of the first 1,000 codes, in the plane of two latents or in one computed from all active latents.

    With fewer than two active latents it is computed from all latents that vary.

    Args:
        codes: Posterior means of the images in random order, float [N, D].
        kind: `pca`: the plane in which the codes vary most. `umap`: a plane that keeps neighbours together, by
            umap-learn.
        latents: Two latents, each in 0..D-1, which are the axes of the map instead.

    Returns:
        The map, with n = min(N, 1,000) images.

    Raises:
        InputError: If there are fewer than three images or two latents that vary, for another number of latents than
            two, another kind, latents together with `umap`, or if umap-learn is not installed.

    Source:
        McInnes, Healy & Melville, UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction, 2018,
        https://arxiv.org/abs/1802.03426

    Example:
        >>> import numpy as np
        >>> from equipoise.report.code_map import arrange
        >>> codes = np.random.default_rng(0).normal(size=(50, 3)) * [2, 1, 0.01]
        >>> arrange(codes).axes
        ('first component, 88 %', 'second component, 12 %')
    """
    choose("kind of map", kind, KINDS)
    if len(codes) < 3:
        raise InputError(f"a map needs 3 encoded images or more; the run has {len(codes)}")
    if latents is not None:
        if kind == "umap":
            raise InputError("the axes of a map are two latents or those of umap; give one of the two")
        if not isinstance(latents, Iterable) or len(set(latents)) != 2:
            raise InputError(f"latents are {short(latents)}; give two different ones as the axes of the map")
        x, y = latent_columns(latents, codes.shape[1])
        points = codes[:POINTS, [x, y]].astype(np.float64)
        return CodeMap(points, (f"z{x}", f"z{y}"), f"The axes are z{x} and z{y}.")
    selection, name = select_latents(codes)
    if selection.shape[1] < 2:
        raise InputError(f"a map needs two latents that vary; the run has {selection.shape[1]}")
    return _by_umap(selection, name) if kind == "umap" else _by_pca(selection, name)


def select_latents(codes: NDArray[Any]) -> tuple[Array, str]:
    """Return the first 1,000 codes [n, A] of the active latents, or of those that vary, and a name for these."""
    first = codes[:POINTS].astype(np.float64)
    active = latent_variances(codes) > ACTIVE
    if active.sum() > 1:
        return first[:, active], "active latents"
    return first[:, first.min(axis=0) < first.max(axis=0)], "latents, of which fewer than two are active"


def clusters(codes: Array) -> Clusters:
    """Return the clusters of codes [n, A] by k-means, with the number of 2 to 8 that has the largest silhouette.

    Where it is below 0.25 the codes have no clusters, and all belong to cluster 0.
    """
    best = Clusters(np.zeros(len(codes), np.int64), -1.0)
    for count in range(2, min(CLUSTERS, len(codes) - 1) + 1) if codes.shape[1] else ():
        labels = KMeans(count, n_init=3, random_state=0).fit_predict(codes)
        silhouette = float(silhouette_score(codes, labels)) if len(set(labels)) > 1 else -1.0
        if silhouette > best.silhouette:
            best = Clusters(labels.astype(np.int64), silhouette)
    if best.silhouette < CLEAR:
        return Clusters(np.zeros(len(codes), np.int64), best.silhouette)
    order = np.argsort(-np.bincount(best.labels), kind="stable")
    return Clusters(np.argsort(order)[best.labels], best.silhouette)


def _by_pca(codes: Array, name: str) -> CodeMap:
    pca = PCA(2, svd_solver="full").fit(codes)
    first, second = (100 * share for share in pca.explained_variance_ratio_)
    axes = (f"first component, {first:.0f} %", f"second component, {second:.0f} %")
    summary = (
        f"The axes are the first two principal components of the {name}, with {first:.0f} % and {second:.0f} % of the "
        "variance."
    )
    return CodeMap(pca.transform(codes), axes, summary)


def _by_umap(codes: Array, name: str) -> CodeMap:
    umap = import_package("umap", "a map by umap needs umap-learn; pip install equipoise[umap], or take the kind pca")
    with torch_threads():  # numba changes their number
        points = umap.UMAP(n_neighbors=min(15, len(codes) - 1), random_state=0, n_jobs=1).fit_transform(codes)
    summary = f"The axes are by UMAP of the {name}. Neighbours stay together; distances between groups have no meaning."
    return CodeMap(np.asarray(points, np.float64), ("UMAP 1", "UMAP 2"), summary)
