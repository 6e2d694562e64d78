"""Pictures of what a model does to images."""

from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from equipoise import report
from equipoise.errors import InputError
from equipoise.model import VAE
from equipoise.priors import LpNested
from equipoise.report.figures.animation import FRAMES, traversal_gif
from equipoise.report.figures.animation import GAP as GAP_OF_GIF
from equipoise.report.figures.canvas import GAP, SMALLEST, grid
from equipoise.report.figures.images import STEPS, sweep
from equipoise.report.figures.saving import png, svg
from equipoise.report.latents import Latent, nats_carried


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_traversals_show_a_row_for_each_latent_by_kl(model: VAE) -> None:
    x = model.decode(torch.tensor([[1.0, 0.5, 0, 0]]))
    figure = report.traversals(model, x)
    assert len(figure.axes) == model.latent
    shapes = {axes.images[0].get_array().shape for axes in figure.axes}
    assert shapes == {(SMALLEST, STEPS * (SMALLEST + GAP) - GAP, 4)}
    assert [text for text in texts(figure) if text.startswith("z")] == ["z0", "z1", "z2", "z3"]
    assert texts(figure).count("−2.00 to 2.00") == model.latent  # one image says nothing about the range


def test_traversals_run_over_the_codes_of_many_images(model: VAE) -> None:
    z = torch.zeros(101, model.latent)
    z[:, 0] = torch.linspace(-1, 1, 101)
    figure = report.traversals(model, model.decode(z))
    codes = model.encode(model.decode(z))[0][:, 0].numpy()
    low, high = np.percentile(codes, (5, 95))
    assert f"{low:.2f} to {high:.2f}".replace("-", "−") in texts(figure)


def test_under_a_prior_of_subspaces_rows_are_by_information_and_within_the_prior(model: VAE) -> None:
    model.prior = LpNested((2, 2), learned=True)
    across = torch.stack([torch.linspace(-2, 2, 30), torch.linspace(-1, 1, 30), *torch.zeros(2, 30)], 1)
    x = model.decode(across)
    said = texts(report.traversals(model, x))
    mean, logvar = model.encode(x)
    measure, nats = nats_carried(model.prior.kl(mean, logvar, mean), mean, logvar)
    assert [text for text in said if "nats" in text] == [f"info {value:.2f} nats" for value in -np.sort(-nats)]
    assert measure == "information"
    edge = 2 * float(model.prior.variance.detach()[0].sqrt())
    assert texts(report.traversals(model, x[:1])).count(f"−{edge:.2f} to {edge:.2f}") == model.latent


def test_a_swept_latent_moves_what_it_encodes_and_nothing_else(model: VAE) -> None:
    latent = Latent(0, 1.0, 1.0, -1.5, 1.5, None, "")
    swept = sweep(model, np.array([0.0, 0.5, 0.0, 0.0]), latent)
    assert swept.shape == (STEPS, 1, 16, 16)
    codes = model.encode(torch.from_numpy(swept))[0].numpy()
    np.testing.assert_allclose(codes[:, 0], np.linspace(-1.5, 1.5, STEPS), atol=1e-3)
    np.testing.assert_allclose(codes[:, 1], 0.5, atol=1e-3)


@pytest.mark.parametrize("count", [1, 10, 23])
def test_reconstructions_show_every_image_with_its_error(model: VAE, count: int) -> None:
    x = torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    figure = report.reconstructions(model, x)
    sse = (x - model.decode(model.encode(x)[0])).square().flatten(1).sum(1)
    said = texts(figure)
    assert [text for text in said if text not in ("original", "reconstruction", "difference", "SSE")] == [
        f"{value:.1f}" for value in sse
    ]
    assert len(figure.axes) == -(-count // 10)
    top = figure.axes[0].images[0].get_array()[: SMALLEST : SMALLEST // 16, : SMALLEST : SMALLEST // 16]
    np.testing.assert_array_equal(top[..., 0], np.rint(x[0, 0].numpy().astype(float) * 255))


def test_bytes_and_floats_give_the_same_picture(model: VAE) -> None:
    x = (model.decode(torch.zeros(2, 4)) * 255).round().to(torch.uint8)
    for figure in (report.reconstructions, report.traversals):
        assert png(figure(model, x)) == png(figure(model, x.float() / 255)) == png(figure(model, x.numpy()))


@pytest.mark.parametrize("shape", [(1, 16, 16), (0, 1, 16, 16)])
def test_what_is_no_batch_is_refused(model: VAE, shape: tuple[int, ...]) -> None:
    for figure in (report.reconstructions, report.traversals):
        with pytest.raises(InputError, match=r"expected \[B, C, H, W\]"):
            figure(model, torch.zeros(shape))


def test_values_out_of_range_are_refused(model: VAE) -> None:
    with pytest.raises(InputError, match=r"0\.\.255"):
        report.reconstructions(model, torch.full((1, 1, 16, 16), 255.0))


@pytest.mark.parametrize(("channels", "shown"), [(1, (10, 10, 10)), (3, (10, 20, 30)), (2, (15, 15, 15))])
def test_one_channel_is_grey_three_are_colours_others_their_mean(channels: int, shown: tuple[int, ...]) -> None:
    picture = np.broadcast_to((np.arange(1, channels + 1) * 10 / 255)[None, :, None, None], (3, channels, 40, 32))
    array = grid(picture, columns=2)
    assert array.shape == (2 * (2 * 40 + GAP) - GAP, 2 * (2 * 32 + GAP) - GAP, 4)  # 40 x 32 pixels, each twice
    assert tuple(array[0, 0]) == (*shown, 255)
    assert array[-1, -1, 3] == 0  # no fourth picture
    assert array[0, 64, 3] == 0  # a gap


def test_pictures_of_96_pixels_keep_their_size_and_larger_ones_are_averaged_to_it() -> None:
    assert grid(np.zeros((1, 3, 96, 80)), columns=1).shape == (96, 80, 4)
    fine = np.zeros((1, 1, 192, 384))
    fine[..., ::2] = 1.0
    shown = grid(fine, columns=1)
    assert shown.shape == (48, 96, 4)
    assert set(np.unique(shown[..., :3])) == {128}


def test_samples_are_decoded_from_the_prior_and_the_same_for_a_seed(model: VAE) -> None:
    z = model.prior.sample(3, torch.Generator().manual_seed(5))
    (axes,) = report.samples(model, 3, seed=5).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), grid(model.decode(z).double().numpy(), columns=3))
    assert png(report.samples(model, 12)) == png(report.samples(model, 12))
    with pytest.raises(InputError, match="at least 1"):
        report.samples(model, 0)


def test_a_moving_picture_goes_there_and_back_for_ever(model: VAE) -> None:
    latents = [Latent(j, 1.0, 1.0, -1.5, 1.5, name, "") for j, name in ((0, "across"), (1, "\u4f4d\u7f6e"), (2, None))]
    reference = np.zeros(4)
    with Image.open(BytesIO(traversal_gif(model, reference, latents))) as gif:
        assert gif.n_frames == 2 * FRAMES - 2
        assert gif.info["loop"] == 0
        frames = []
        for number in range(gif.n_frames):
            gif.seek(number)
            frames.append(np.asarray(gif.convert("L")).astype(int))
    assert all((frame[-1] == 255).all() for frame in frames)  # white stays white
    for number in range(1, FRAMES):
        np.testing.assert_array_equal(frames[number], frames[-number])
    first, last = (model.decode(torch.tensor([[code, 0.0, 0.0, 0.0]]))[0, 0].numpy() * 255 for code in (-1.5, 1.5))
    for frame, shown in ((frames[0], first), (frames[FRAMES - 1], last)):
        found = frame[GAP_OF_GIF // 2 :, GAP_OF_GIF:][: SMALLEST : SMALLEST // 16, : SMALLEST : SMALLEST // 16]
        np.testing.assert_allclose(found, shown, atol=1)
    assert np.ptp([frame[:, -100:] for frame in frames], axis=0).max() == 0  # the third latent is not used


def test_latents_of_an_animation_are_chosen_by_index(model: VAE) -> None:
    x = model.decode(torch.tensor([[1.0, 0.5, 0, 0]]))
    with (
        Image.open(BytesIO(report.animation(model, x))) as every,
        Image.open(BytesIO(report.animation(model, x, latents=[2, 0]))) as two,
    ):
        assert every.size[0] > two.size[0] > two.size[1]
    for latents in ([4], [-1], []):
        with pytest.raises(InputError, match="choose latents from 0 to 3"):
            report.animation(model, x, latents)


def test_an_svg_is_one_element_in_the_colours_of_the_page(model: VAE) -> None:
    element = svg(report.reconstructions(model, torch.zeros(1, 1, 16, 16)), "name")
    assert element.startswith("<svg")
    assert element.rstrip().endswith("</svg>")
    assert "var(--ink)" in element
    assert "#1f2328" not in element
