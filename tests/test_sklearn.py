"""The estimator: scikit-learn's own checks, and what it promises beside them."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from equipoise.data import load_data
from equipoise.errors import InputError
from equipoise.sklearn import Disentangler


@parametrize_with_checks([Disentangler(latent=2, steps=3)])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    # The checks themselves seed numpy's global generator.
    state = np.random.get_state()  # noqa: NPY002
    check(estimator)
    np.random.set_state(state)  # noqa: NPY002


def test_vectors_are_reconstructed_in_their_own_units() -> None:
    rng = np.random.default_rng(0)
    t = rng.uniform(size=(400, 2))
    X = np.column_stack([1000 + 50 * t[:, 0], -3 + t[:, 1], 1000 - 50 * t[:, 0], np.full(400, 7.0)])
    model = Disentangler(method="beta-vae", settings={"method.beta": 0.01}, latent=2, steps=150, lr=1e-3).fit(X)
    Z = model.transform(X)
    assert Z.shape == (400, 2)
    error = np.abs(model.inverse_transform(Z) - X).mean(0)
    assert (error < [5, 0.1, 5, 1e-6]).all(), "a tenth of each column's range, and a constant column exactly"


def test_vectors_are_scaled_and_decoded_as_those_of_a_table() -> None:
    X = np.random.default_rng(0).normal([5, -100], [1, 20], (200, 2))
    model = Disentangler("beta-vae", latent=2, steps=2).fit(X)
    run_scaling = load_data(X).scaling
    assert model.model_.scaling is not None
    assert run_scaling is not None
    assert np.allclose(model.model_.scaling.offset, run_scaling.offset)
    assert np.allclose(model.model_.scaling.unit, run_scaling.unit)
    assert model.model_.likelihood.name == "squared-error"
    other = Disentangler("beta-vae", latent=2, steps=2, settings={"data.scaling": "minmax"}).fit(X)
    assert np.allclose(other.model_.scaling.unit, np.ptp(X, axis=0))
    with pytest.raises(InputError, match=r"a million units of data\.scaling=standardize away"):
        model.transform(X * 1e9)


def test_images_are_taken_as_bytes_or_floats_alike() -> None:
    X = (np.random.default_rng(0).uniform(size=(30, 1, 16, 16)) > 0.5).astype(np.uint8) * 255
    one = Disentangler(latent=2, steps=2, batch=8).fit(X).transform(X)
    other = Disentangler(latent=2, steps=2, batch=8).fit(X / 255.0).transform(X / 255.0)
    assert one.shape == (30, 2)
    assert np.allclose(one, other)


def test_tensors_of_any_floats_are_vectors_and_masked_values_are_refused() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    model = Disentangler(latent=2, steps=2, batch=8).fit(torch.tensor(X, requires_grad=True))
    codes = model.transform(torch.tensor(X, requires_grad=True))
    assert np.array_equal(codes, model.transform(X))
    assert np.allclose(codes, model.transform(torch.tensor(X).bfloat16()), atol=0.1)
    assert model.inverse_transform(torch.tensor(codes, requires_grad=True)).shape == X.shape
    masked = np.ma.masked_less(X, -1)
    for use in (Disentangler(latent=2, steps=2).fit, model.transform):
        with pytest.raises(InputError, match=rf"X: {masked.mask.sum()} values are masked; fill them"):
            use(masked)
    with pytest.raises(InputError, match="Z: 1 values are masked"):
        model.inverse_transform(np.ma.masked_array(codes[:1], [[True, False]]))


def test_a_fitted_net_computes_as_torch_does() -> None:
    """Products of matrices are for training: the model may be exported."""
    images = np.random.default_rng(0).integers(256, size=(40, 1, 16, 16), dtype=np.uint8)
    model = Disentangler("beta-vae", latent=2, steps=2, net="small").fit(images).model_
    convolutions = [layer for layer in model.modules() if hasattr(layer, "by_products")]
    assert convolutions
    assert not any(layer.by_products for layer in convolutions)


def test_images_of_another_shape_than_in_fit_are_refused() -> None:
    X = np.zeros((10, 1, 16, 16), np.uint8)
    model = Disentangler(latent=2, steps=1, batch=8).fit(X)
    with pytest.raises(InputError, match="expected images of shape"):
        model.transform(np.zeros((10, 1, 32, 32), np.uint8))
    with pytest.raises(InputError, match="expected images"):
        model.transform(np.zeros((10, 256)))


def test_a_list_of_images_or_rows_is_the_array_of_them() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    model = Disentangler("beta-vae", latent=2, steps=2).fit(list(images))
    codes = model.transform(images)
    for X in (list(images), tuple(images), list(torch.from_numpy(images))):
        assert np.array_equal(model.transform(X), codes)
    rows = images.reshape(20, 64).astype(float)
    model = Disentangler("beta-vae", latent=2, steps=2).fit(rows.tolist())
    assert np.array_equal(model.transform(list(rows)), model.transform(rows))
    with pytest.raises(InputError, match="X is a list of parts of different shapes"):
        model.transform([rows[0], rows[1][:3]])
    with pytest.raises(InputError, match="1 values are masked"):
        model.transform([np.ma.masked_equal(row, rows[0, 0]) for row in rows[:1, :3]])


def test_images_without_an_axis_of_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"X has 3 axes; expected .* give grey images as X\[:, None\]"):
        Disentangler(steps=1).fit(np.zeros((4, 16, 16), np.uint8))


def test_it_works_in_a_pipeline_and_names_its_outputs() -> None:
    X = np.random.default_rng(0).normal(size=(50, 6))
    pipeline = make_pipeline(StandardScaler(), Disentangler(latent=3, steps=2))
    assert pipeline.fit_transform(X).shape == (50, 3)
    assert list(pipeline.get_feature_names_out()) == ["disentangler0", "disentangler1", "disentangler2"]


def test_a_wrong_setting_is_named_before_any_work() -> None:
    with pytest.raises(InputError, match=r"method\.betta: no such setting of beta-vae; did you mean beta\?"):
        Disentangler(method="beta-vae", settings={"method.betta": 1.0}).fit(np.eye(4))


def test_the_log_of_fit_is_kept() -> None:
    model = Disentangler(latent=2, steps=5).fit(np.random.default_rng(0).normal(size=(20, 3)))
    assert [row["step"] for row in model.logs_] == [5]
    assert model.logs_[0]["loss"] > 0


@pytest.mark.parametrize(
    ("method", "settings"),
    [("factor-vae", {"method.width": 8, "method.layers": 1}), ("sigma-vae", {}), ("dip-vae", {})],
)
def test_other_methods_learn_from_vectors_and_from_fewer_rows_than_two_batches(
    method: str, settings: dict[str, object]
) -> None:
    X = np.random.default_rng(0).random((90, 12))
    codes = Disentangler(method, latent=3, steps=5, settings=settings).fit_transform(X)
    assert codes.shape == (90, 3)
    assert np.isfinite(codes).all()


def test_a_data_frame_has_the_codes_of_its_array() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])
    model = Disentangler("beta-vae", latent=2, steps=2).fit(frame)
    of_frame = model.transform(frame)
    assert of_frame.dtype == np.float64
    model.fit(frame.to_numpy())
    assert np.array_equal(of_frame, model.transform(frame.to_numpy()))
    assert model.transform(frame.to_numpy(np.float32)).dtype == np.float32


def test_codes_of_another_number_of_latents_are_refused() -> None:
    model = Disentangler("beta-vae", latent=2, steps=2).fit(np.random.default_rng(0).normal(size=(40, 3)))
    with pytest.raises(InputError, match=r"^Z has 4 columns; expected one for each of 2 latents$"):
        model.inverse_transform(np.zeros((5, 4)))
    with pytest.raises(ValueError, match="Z contains NaN"):
        model.inverse_transform([[0.0, np.nan]])
    with pytest.raises(ValueError, match="Expected 2D array"):
        model.inverse_transform([0.0, 0.0])


def test_a_fit_of_images_leaves_nothing_of_an_earlier_fit_of_vectors() -> None:
    pandas = pytest.importorskip("pandas")
    model = Disentangler("beta-vae", latent=2, steps=1)
    model.fit(pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["a", "b", "c"]))
    model.set_params(net="burgess").fit(np.zeros((10, 1, 16, 16), np.uint8))
    assert model.n_features_in_ == 256
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model, "is_constant_")


def test_a_grid_may_have_numbers_of_numpy() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    for latent in np.arange(2, 4):
        model = Disentangler("beta-vae", latent=latent, steps=np.int64(2), settings={"train.batch": np.int32(8)})
        assert model.fit(X).transform(X).shape == (40, latent)


def test_the_nets_of_a_fitted_model_are_plain_layers() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 32, 32), dtype=np.uint8)
    model = Disentangler("beta-vae", latent=2, steps=2, net="small").fit(images).model_
    jacobian = torch.func.jacrev(lambda z: model.decoder(z[None]))(torch.zeros(2))
    assert jacobian.shape == (1, 1, 32, 32, 2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.init", "a"),
        ("init", "a"),
        ("train.devices", 2),
        ("train.nodes", 2),
        ("train.track", "tensorboard"),
        ("train.keep", "model"),
        ("train.checkpoint_every", 10),
        ("evaluate.which", "mig"),
        ("evaluate.every", 5),
        ("evaluate.convention", "locatello"),
        ("evaluate.n", 100),
        ("evaluate.interval", False),
        ("out", "runs/a"),
        ("data.n", 5),
        ("data", "dsprites"),
    ],
)
def test_settings_of_runs_on_disk_are_refused(key: str, value: object) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    with pytest.raises(
        InputError, match=r"^(out|(train|data|evaluate)\.\w+) has no effect on an estimator; leave it out, or train"
    ):
        Disentangler("beta-vae", latent=2, steps=2, settings={key: value}).fit(X)
    Disentangler("beta-vae", latent=2, steps=2, settings={"data.scaling": "minmax", "train.init": None}).fit(X)


def test_a_column_that_is_constant_in_fit_has_no_effect_on_codes() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[:, 1] = np.where(X[:, 0] > 0, 0.1 + 0.2, 0.3)  # but for rounding
    model = Disentangler(latent=2, steps=3, batch=8).fit(X)
    assert model.is_constant_.tolist() == [False, True, False]
    changed = X.copy()
    changed[:, 1] = np.arange(30)
    np.testing.assert_array_equal(model.transform(changed), model.transform(X))


def test_what_is_no_array_and_a_single_image_are_refused() -> None:
    X = np.zeros((3, 1, 16, 16), np.uint8)
    model = Disentangler(latent=2, steps=2)
    for values, message in {
        "pictures": "X is 'pictures'; expected an array: eq.load_data reads files and folders",
        load_data(X): "X is Images; expected an array: images.pixels",
    }.items():
        with pytest.raises(InputError, match=message):
            model.fit(values)
    with pytest.raises(InputError, match="X has one image; expected at least 2"):
        model.fit(X[:1])
    vectors = model.fit(np.random.default_rng(0).normal(size=(9, 3)))
    with pytest.raises(InputError, match=r"images of shape \(1, 16, 16\); expected vectors of 3 columns, as in fit"):
        vectors.transform(X)
