"""The nets against the parameter counts of the literature, and every size they take."""

from pathlib import Path

import pytest
import torch
from torch import nn

from equipoise import nets
from equipoise.errors import InputError


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "channels", "latent", "encoder", "decoder"),
    [
        ("mlp", 1, 10, 1_119_764, 1_121_280),
        ("mlp_tc", 1, 10, 6_381_620, 7_814_896),
        ("mlp_tc", 1, 20, 6_405_640, 7_826_896),
        ("mlp_lvae", 1, 5, 6_369_610, 6_367_696),
        ("cnn_lvae", 3, 7, 149_678, 380_611),
        ("burgess", 1, 10, 252_052, 249_953),
        ("locatello", 1, 10, 309_204, 381_313),
        ("factor", 1, 10, 249_172, 248_833),
        ("higgins_h", 1, 10, 382_932, 380_353),
    ],
)
def test_published_nets_have_their_number_of_parameters(
    name: str, channels: int, latent: int, encoder: int, decoder: int
) -> None:
    with torch.random.fork_rng():
        ours = nets.build(name, (channels, 64, 64), latent)
    assert (count(ours[0]), count(ours[1])) == (encoder, decoder)


def test_the_discriminator_of_dava_has_the_number_of_parameters_that_its_page_gives() -> None:
    with torch.device("meta"):
        number = count(nets.image_discriminator((1, 64, 64)))
    page = Path(__file__).parents[1] / "docs" / "methods" / "dava.md"
    assert f"{number:,} parameters" in page.read_text(encoding="utf-8")


def test_conv_bn_has_the_layers_of_its_source() -> None:
    """It has no published count: 32-32-64-64-512 and a 1x1 layer, batch normalisation after all but the last."""
    with torch.random.fork_rng():
        encoder, decoder = nets.build("conv_bn", (3, 64, 64), 10)
    convolutions = [layer for layer in encoder if isinstance(layer, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (32, 4),
        (32, 4),
        (64, 4),
        (64, 4),
        (512, 4),
        (20, 1),
    ]
    transposed = [layer for layer in decoder if isinstance(layer, nn.ConvTranspose2d)]
    assert [c.out_channels for c in transposed] == [512, 64, 64, 32, 32, 3]
    for net, layers in ((encoder, convolutions), (decoder, transposed)):
        assert sum(isinstance(layer, nn.BatchNorm2d) for layer in net) == len(layers) - 1


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", nets.NETS)
def test_every_net_takes_every_power_of_two(name: str, channels: int, size: int) -> None:
    with torch.random.fork_rng():
        encoder, decoder = nets.build(name, (channels, size, size), 4)
    x = torch.zeros(2, channels, size, size)
    code = encoder(x)
    assert code.shape == (2, 8)
    assert decoder(code[:, :4]).shape == x.shape


def test_perceptrons_take_any_shape() -> None:
    with torch.random.fork_rng():
        encoder, decoder = nets.build("mlp_lvae", (1, 1, 7), 3)
    assert decoder(encoder(torch.zeros(2, 1, 1, 7))[:, :3]).shape == (2, 1, 1, 7)


@pytest.mark.parametrize("shape", [(1, 48, 48), (3, 64, 32), (3, 100, 61), (1, 8, 200), (1, 9, 15), (1, 127, 8)])
@pytest.mark.parametrize("name", nets.NETS)
def test_every_net_takes_images_of_any_sides_from_8_pixels_up(name: str, shape: tuple[int, int, int]) -> None:
    with torch.random.fork_rng():
        encoder, decoder = nets.build(name, shape, 4)
    code = encoder(torch.zeros(2, *shape))
    assert code.shape == (2, 8)
    assert decoder(code[:, :4]).shape == (2, *shape)


@pytest.mark.parametrize("name", ["small", "locatello", "higgins_h"])
def test_every_pixel_of_an_odd_image_is_read_and_written(name: str) -> None:
    shape = (1, 31, 46)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, decoder = nets.build(name, shape, 4)
        x = torch.rand(1, *shape, requires_grad=True)
        z = torch.randn(8, 4)
    encoder(x).sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).float().mean() > 0.99  # a ReLU can switch a few off
    assert (decoder(z).std(0) > 0).all()


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 7, 64), (3, 0, 0)])
def test_an_image_below_8_pixels_is_refused_with_what_to_do(shape: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"locatello needs images of 8 x 8 .*data\.size=32.*mlp_lvae"):
        nets.build("locatello", shape, 10)


def test_a_net_for_64_pixels_has_the_names_and_sizes_of_its_earlier_checkpoints() -> None:
    with torch.random.fork_rng():
        _, decoder = nets.build("burgess", (1, 64, 64), 10)
    sizes = {name: list(value.shape) for name, value in decoder.state_dict().items() if name.endswith("weight")}
    assert sizes == {
        "0.weight": [256, 10],
        "2.weight": [256, 256],
        "4.weight": [512, 256],
        "7.weight": [32, 32, 4, 4],
        "9.weight": [32, 32, 4, 4],
        "11.weight": [32, 32, 4, 4],
        "13.weight": [32, 1, 4, 4],
    }


def test_an_unknown_net_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="locatelo: no such net; did you mean locatello"):
        nets.build("locatelo", (1, 64, 64), 10)


@pytest.mark.parametrize("name", nets.NETS)
def test_a_decoder_that_starts_at_an_image_shows_it_with_little_contrast_from_its_codes(name: str) -> None:
    shape = (3, 16, 16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, decoder = nets.build(name, shape, 4)
    image = torch.linspace(0.1, 0.6, 3)[:, None, None].expand(shape).contiguous()
    weights = {key: value.clone() for key, value in decoder.state_dict().items()}
    nets.start_at(decoder, image)
    changed = [key for key, value in decoder.state_dict().items() if not torch.equal(value, weights[key])]
    assert len(changed) == 1
    assert changed[0].endswith("bias")
    picture = decoder.eval()(torch.zeros(1, 4)).sigmoid()[0]
    assert torch.allclose(picture, image, atol=0.12)


def test_a_net_of_images_is_refused_for_vectors_with_the_net_to_take() -> None:
    with pytest.raises(InputError, match=r"these are 1 x 20; set net=mlp$"):
        nets.build("burgess", (1, 1, 20), 10)
    with pytest.raises(InputError, match=r"set data.size=32, or net=mlp_lvae$"):
        nets.build("burgess", (1, 4, 4), 10)
