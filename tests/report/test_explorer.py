"""The explorer's file: whole, alone, safe; its layers are the net, its weights are close, and only it is served."""

import base64
import http.client
import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.report.conftest import Blob
from tests.report.explored import explored, vae, with_gates
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise import commands, nets
from equipoise.errors import InputError
from equipoise.gates import Rates
from equipoise.priors import LpNested
from equipoise.report import explorer
from equipoise.report.explorer.layers import Layer, layers_of, rounded
from equipoise.report.explorer.page import CALIBRATION, script_hash
from equipoise.report.explorer.serve import server

Make = Callable[..., Any]
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a & b '\"\u2028")


def run_layers(layers: list[Layer], x: Tensor) -> Tensor:
    """What the page does, by torch: x [1, H, W, C] or [1, D] with the channels last, flat at the end."""
    for layer in layers:
        height, width, channels = layer.input
        image = x.reshape(1, height, width, channels).permute(0, 3, 1, 2)
        stride, padding, (tall, wide) = layer.stride, layer.padding, layer.kernel
        if layer.kind == "dense":
            x = F.linear(x.reshape(1, -1), layer.rows, layer.bias)
        elif layer.kind == "conv":
            weight = layer.rows.reshape(-1, tall, wide, channels).permute(0, 3, 1, 2)
            x = F.conv2d(image, weight, layer.bias, stride, padding).permute(0, 2, 3, 1)
        else:
            weight = layer.rows.reshape(tall, wide, -1, channels).permute(3, 2, 0, 1)
            # The page adds what falls within its output, whose size may be one more than torch's.
            down, across = ((side - 1) * stride - 2 * padding for side in (height, width))
            extra = [layer.output[0] - down - tall, layer.output[1] - across - wide]
            x = F.conv_transpose2d(image, weight, layer.bias, stride, padding, extra).permute(0, 2, 3, 1)
        x = {"relu": F.relu, "silu": F.silu, "tanh": torch.tanh, "none": lambda x: x}[layer.activation](x)
        assert x.numel() == np.prod(layer.output)
    return x.flatten()


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 32, 32), (1, 21, 30)])
@pytest.mark.parametrize("net", nets.NETS)
@torch.no_grad()
def test_the_layers_of_every_net_do_what_it_does(make: Make, net: str, shape: tuple[int, int, int]) -> None:
    model = vae(net, shape, make().model)
    generator = torch.Generator().manual_seed(1)
    z, x = torch.randn(1, model.latent, generator=generator), torch.rand(1, *model.shape, generator=generator)
    decoded = run_layers(layers_of(model.decoder, (model.latent,)), z)
    torch.testing.assert_close(decoded, model.decoder(z).permute(0, 2, 3, 1).flatten(), rtol=1e-4, atol=1e-4)
    encoded = run_layers(layers_of(model.encoder, model.shape), x.permute(0, 2, 3, 1))
    torch.testing.assert_close(encoded, model.encoder(x).flatten(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (Blob(1), (4,)),
        (nn.Sequential(nn.Linear(4, 8), nn.ELU()), (4,)),
        (nn.Sequential(nn.ReLU(), nn.Linear(4, 8)), (4,)),
        (nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2)), (1, 8, 8)),
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)), (2, 8, 8)),
        (nn.Sequential(nn.Conv2d(1, 2, 3, (2, 1))), (1, 8, 8)),
        (nn.Sequential(nn.ConvTranspose2d(1, 2, 3, padding=(1, 0))), (1, 8, 8)),
        (nn.Sequential(nn.BatchNorm2d(1).eval(), nn.Conv2d(1, 2, 3)), (1, 8, 8)),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), (1, 8, 8)),
        (nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 2)), (4,)),
    ],
)
def test_a_net_that_the_page_cannot_run_is_refused(net: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="the explorer cannot run"):
        layers_of(net, shape)


def test_a_run_with_such_a_net_is_refused_before_anything_is_written(make: Make) -> None:
    run = make()
    with pytest.raises(InputError, match="cannot run"):
        explorer.write(run)
    assert not (run.path / "explorer.html").exists()


@pytest.fixture(scope="module")
def written(make: Make) -> tuple[Any, str]:
    """A run and the text of its page."""
    run = explored(make, folder="explored")
    path = explorer.write(run)
    assert path == run.path / "explorer.html"
    return run, path.read_text(encoding="utf-8")


def part(page: str, name: str) -> str:
    """The text of the script element of this id."""
    (found,) = re.findall(rf'<script type="[^"]+" id="{name}">(.*?)</script>', page, re.DOTALL)
    return str(found)


def test_one_file_is_written_that_refers_to_nothing(written: tuple[Any, str]) -> None:
    run, page = written
    assert {path.name for path in run.path.iterdir()} == {"config.toml", "scores.json", "explorer.html"}
    assert not re.findall(r"""(?:src|action|srcset)\s*=\s*["']""", page)
    assert re.findall(r'href="([^"]*)"', page) == ["data:,"]
    assert not re.findall(r"@import|url\(|import\s*\(|fetch\(|XMLHttpRequest|WebSocket|eval\(|innerHTML", page)
    assert "://" not in page


def test_one_latent_is_written_in_the_singular(make: Make) -> None:
    run = explored(make)
    config = replace(run.config, net=replace(run.config.net, latent=1))
    assert ", 1 latent, trained on blobs:" in explorer.write(run.but(config=config)).read_text(encoding="utf-8")


def test_the_page_may_run_its_own_script_and_nothing_else(written: tuple[Any, str]) -> None:
    _, page = written
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (code,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    assert f"default-src 'none'; script-src {script_hash(code)}; worker-src blob:;" in policy
    assert len(re.findall("<script", page)) == 4


def test_the_parcel_holds_rounded_weights_and_the_images(written: tuple[Any, str]) -> None:
    run, page = written
    about = json.loads(part(page, "about"))
    parcel = zlib.decompress(base64.b64decode(part(page, "parcel")))
    layers = [*about["decoder"], *about["encoder"]]
    count = sum(layer["rows"][0] * layer["rows"][1] for layer in layers)
    floats = sum(
        layer["rows"][0] + (layer["output"][2] if layer["kind"] == "up" else layer["rows"][0]) for layer in layers
    )
    index = [int(name.removeprefix("image ")) for name in about["samples"]]
    assert parcel[2 * count + 4 * floats :] == run.images.pixels(index).transpose(0, 2, 3, 1).tobytes()
    whole = np.frombuffer(parcel, np.uint8, 2 * count).reshape(2, -1).T.copy().view("<i2")[:, 0]
    first = run.model.decoder[0].weight.detach().numpy()  # [out, D]
    scale = np.frombuffer(parcel, "<f4", len(first), 2 * count)
    unpacked = whole[: first.size].reshape(first.shape) * scale[:, None]
    assert np.abs(unpacked - first).max() <= scale.max() / 2
    assert not np.array_equal(unpacked, first)


@torch.no_grad()
@pytest.mark.parametrize("net", nets.NETS)
def test_rounding_changes_no_pixel_by_more_than_half_a_level(make: Make, net: str) -> None:
    run = explored(make, net)
    page = " ".join(explorer.write(run).read_text().split())
    pixel, code = re.findall(r"pixels by at most ([\d.]+) of 255 grey levels and codes by at most ([\d.]+)\.", page)[0]
    z = torch.from_numpy(run.codes["z"][:CALIBRATION])
    error = float((rounded(run.model.decoder)(z).sigmoid() - run.model.decode(z)).abs().max())
    assert 0 < error <= 0.5 / 255
    assert float(pixel) == pytest.approx(255 * error, abs=0.006)
    assert float(code) <= 0.005


def test_hostile_names_are_text(make: Make, written: tuple[Any, str]) -> None:
    run = explored(make, name=HOSTILE[1], factor_names=HOSTILE, folder="<b onclick=alert(1)>run")
    page = explorer.write(run).read_text(encoding="utf-8")
    tags = re.compile(r"<[a-z!/][^\s>]*")
    visible = [re.sub(r"<script.*?</script>", "", each, flags=re.DOTALL) for each in (page, written[1])]
    assert tags.findall(visible[0]) == tags.findall(visible[1])
    about = part(page, "about")
    assert not set("<>&\u2028") & set(about)
    told = json.loads(about)
    assert told["name"] == run.path.name
    assert {latent["factor"] for latent in told["latents"]} <= {*HOSTILE, None}
    assert any(latent["factor"] in HOSTILE or HOSTILE[0] in latent["words"] for latent in told["latents"])


def test_the_page_does_not_tell_where_the_data_lay(make: Make) -> None:
    page = explorer.write(explored(make, name="/home/someone/secret/pictures")).read_text()
    assert "trained on pictures:" in page
    assert "someone" not in page


def test_latents_come_with_what_is_known_of_them(make: Make) -> None:
    run = explored(make, factors=False)
    told = json.loads(part(explorer.write(run).read_text(), "about"))["latents"]
    assert sorted(latent["index"] for latent in told) == [0, 1, 2, 3]
    assert [latent["nats"] for latent in told] == sorted((latent["nats"] for latent in told), reverse=True)
    assert all(latent["factor"] is None and latent["words"] == "" for latent in told)
    active = next(latent for latent in told if latent["active"])
    means = run.codes["mean"][:, active["index"]].astype(float)
    assert [active["low"], active["high"]] == pytest.approx(np.percentile(means, (5, 95)).tolist())


@pytest.mark.parametrize("named", [{"channels": 3}, {"prior": LpNested((2, 2))}, {"channels": 2}])
def test_any_channels_and_any_prior_have_a_page(make: Make, named: dict[str, Any]) -> None:
    run = explored(make, scored=False, **named)
    told = json.loads(part(explorer.write(run).read_text(), "about"))
    assert told["shape"] == list(run.model.shape)
    assert told["measure"] == ("information" if "prior" in named else "KL")
    assert told["encoder"][-1]["output"] == [1, 1, 4]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., tuple[int, bytes]]]:
    """Asks a server of one page that lies beside a secret; gives the status and the body."""
    (tmp_path / "explorer.html").write_bytes(b"<!doctype html>page")
    (tmp_path / "secret").write_text("no")
    with server(tmp_path / "explorer.html", 0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        host, port = serving.server_address[:2]
        assert host == "127.0.0.1"

        def ask(path: str, method: str = "GET", host: str = f"localhost:{port}") -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            found = answer.status, answer.read()
            connection.close()
            return found

        yield ask
        serving.shutdown()
        thread.join()


def test_only_the_page_is_served(running: Callable[..., tuple[int, bytes]]) -> None:
    page = (200, b"<!doctype html>page")
    assert running("/") == running("/explorer.html") == running("/?x=1") == page
    assert running("/", "HEAD") == (200, b"")
    for path in ("/secret", "/../secret", "/%2e%2e/secret", "//secret", "/explorer.html/../secret", "/.", "*"):
        assert running(path)[0] == 404
    assert running("/", "POST")[0] == 501


def test_only_this_machine_is_answered_by_name(running: Callable[..., tuple[int, bytes]]) -> None:
    for host in ("127.0.0.1", "localhost", "localhost:9000", "[::1]:80"):
        assert running("/", host=host)[0] == 200
    for host in ("example.org", "localhost.example.org:80", "127.0.0.1.example.org", "", "evil:localhost"):
        assert running("/", host=host)[0] == 403


def test_a_port_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    path = tmp_path / "explorer.html"
    path.write_text("page")
    with server(path, 0) as first, pytest.raises(InputError, match="give another with --port"):
        server(path, int(first.server_address[1]))
    with pytest.raises(InputError, match="port 70000 does not exist"):
        server(path, 70000)


def test_the_command_opens_the_file_where_there_is_a_screen(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = explored(make)
    opened: list[str] = []
    monkeypatch.setattr("equipoise.runs.open_run", lambda _: run)
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    outcome = commands.explore(run.path)
    assert opened == [(run.path / "explorer.html").resolve().as_uri()]
    assert outcome.values == {
        "wrote": str(run.path / "explorer.html"),
        "bytes": outcome.values["bytes"],
        "opened": True,
    }
    assert outcome.values["bytes"] == (run.path / "explorer.html").stat().st_size
    assert outcome.text.endswith(f"wrote {run.path / 'explorer.html'}")
    monkeypatch.delenv("DISPLAY")
    assert "no browser could be opened" in commands.explore(run.path).text
    assert not commands.explore(run.path, browser=False).values["opened"]
    assert len(opened) == 1


@pytest.mark.parametrize("net", nets.NETS)
@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0])
@torch.no_grad()
def test_gated_layers_of_every_net_do_what_the_model_of_a_beta_does(make: Make, net: str, beta: float) -> None:
    rates = Rates(0.1, 10.0, 1.0)
    model = with_gates(vae(net, (1, 16, 21), make().model), rates)
    plain, level = model.at(beta), rates.level(beta)
    generator = torch.Generator().manual_seed(1)
    z, x = torch.randn(1, model.latent, generator=generator), torch.rand(1, *model.shape, generator=generator)
    for gated, single, source, inputs, curve in (
        (model.decoder, plain.decoder, z, (model.latent,), lambda u: (-u.expm1()).clamp(min=0).sqrt()),
        (model.encoder, plain.encoder, x, model.shape, torch.sigmoid),
    ):
        layers = [
            layer
            if layer.gate is None
            else replace(
                layer,
                rows=layer.rows * repeated(curve(layer.gate[0] * level + layer.gate[1]), layer)[:, None],
                bias=curve(layer.gate[0] * level + layer.gate[1]) * layer.bias + layer.gate[2],
            )
            for layer in layers_of(gated, inputs)
        ]
        ours = run_layers(layers, source.permute(0, 2, 3, 1) if source.ndim == 4 else source)
        out = single(source)
        expected = out.permute(0, 2, 3, 1).flatten() if out.ndim == 4 else out.flatten()
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def repeated(gates: Tensor, layer: Layer) -> Tensor:
    """The gates [M] of the rows of a layer: those of a transposed convolution are the channels of each pixel."""
    return gates.repeat(len(layer.rows) // len(gates))
