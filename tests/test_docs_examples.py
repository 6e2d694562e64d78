"""The Python examples of the documentation run. Each page is one session; trainings are shortened to two steps."""

import inspect
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import equipoise
from equipoise import config, report, runs
from equipoise.balance import BALANCES
from equipoise.cli import app
from equipoise.data import DATASETS
from equipoise.likelihoods import LIKELIHOODS
from equipoise.methods import METHODS
from equipoise.metrics import METRICS
from equipoise.nets import NETS

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
WHOLE = re.compile(r"# (\w+\.py)\n")  # a code block that is a file with this name
SHORT = {"evaluate.n": 200, "evaluate.which": ["mig", "sap", "sse"], "train.log_every": 1, "train.threads": 1}

NOT_RUN = {
    "own_images.md": "from torchvision",  # downloads CIFAR10
    "data.md": "celeba.convert",  # reads files that may not be redistributed
}
CUT = {  # replacements that shorten long examples
    "README.md": {"latent=5)": "latent=5, steps=2)", '"carbonneau")': '"carbonneau", interval=False)'},
    "index.md": {'"carbonneau")': '"carbonneau", interval=False)'},
    "faq.md": {"steps=200": "steps=2"},
    "python.md": {"steps=3000": "steps=2"},
    "toys.md": {"700)": "3)"},
}


def blocks(page: Path) -> list[str]:
    matches = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in matches]


PAGES = {
    page.name: page
    for page in [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "methods").glob("*")),
    ]
    if page.suffix == ".md" and blocks(page)
}


def short(data: Any, method: str = "l-vae", **options: Any) -> runs.Run:
    """Run `equipoise.train` for two steps with a small net, and score few images."""
    settings = {**(options.pop("settings", None) or {}), **SHORT}
    return runs.train(data, method, **{"net": "burgess", "progress": False, **options, "steps": 2}, settings=settings)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on dSprites, which the pages expect in runs/first or runs/demo."""
    path = tmp_path_factory.mktemp("docs") / "first"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.report, "write", lambda run: run.path)  # no page reads the report, which takes seconds
        short("dsprites", out=path)
    return path


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run in an empty folder and restore the tables of methods, parts, metrics, data, nets and report sections."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    tables: tuple[dict[str, Any], ...] = (METHODS, BALANCES, LIKELIHOODS, METRICS, DATASETS, NETS)
    before, modules = [dict(table) for table in tables], set(sys.modules)
    sections = report.SECTIONS.copy()
    yield tmp_path
    report.SECTIONS[:] = sections
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and Path(str(sys.modules[name].__file__)).parent == tmp_path:
            del sys.modules[name]


def provide(code: str, first: Path) -> None:
    """Create the files that a page expects: a run, a folder of images, the scores of a study."""
    for folder in ("runs/first", "runs/demo"):
        if f'open_run("{folder}")' in code:
            shutil.copytree(first, folder)
    if "path/to/images" in code:
        Path("path/to/images").mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((16, 16), 60 * i, np.uint8)).save(f"path/to/images/{i}.png")
    if "compare.csv" in code:
        Path("studies/study").mkdir(parents=True)
        Path("studies/study/compare.csv").write_text("method,metric,value\nl-vae,mig,0.1\nl-vae,mig,0.3\n")


# After two steps most latents are inactive, and metrics warn about it.
@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page_run(page: str, session: Path, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(data: Any, method: str = "l-vae", **options: Any) -> runs.Run:
        inspect.signature(runs.train).bind(data, method, **options)
        if (data, method) != ("dsprites", "l-vae"):
            return short(data, method, **options)
        shutil.copytree(first, options["out"])
        return runs.open_run(options["out"])

    monkeypatch.setattr(equipoise, "train", train)
    run = [block for block in blocks(PAGES[page]) if NOT_RUN.get(page, "import nothing") not in block]
    assert len(run) == len(blocks(PAGES[page])) - (page in NOT_RUN)
    code = "".join(run)
    provide(code, first)
    names: dict[str, Any] = {"X": np.random.default_rng(0).normal(size=(20, 6))}
    for block in run:
        if WHOLE.match(block):
            (session / WHOLE.match(block)[1]).write_text(block, encoding="utf-8")
        for long, quick in CUT.get(page, {}).items():
            assert long in code
            block = block.replace(long, quick)
        exec(compile(block, page, "exec"), names)


def file_of_adding(name: str) -> str:
    """Return the code block of the page on adding that is the file of this name."""
    (code,) = (block for block in blocks(ROOT / "docs" / "adding.md") if WHOLE.match(block)[1] == name)
    return code


def test_the_command_line_accepts_a_method_metric_data_set_and_net_of_the_page(session: Path) -> None:
    for block in blocks(ROOT / "docs" / "adding.md"):
        (session / WHOLE.match(block)[1]).write_text(block, encoding="utf-8")
    __import__("mine")
    words = ["data=gratings", "method=cyclical-vae", "net=tiny", "train.steps=4", "train.threads=1", "out=runs/mine"]
    done = CliRunner().invoke(app, ["train", *words, 'evaluate.which=["mcc", "mig"]', "evaluate.n=192"])
    assert done.exit_code == 0, done.output
    run = equipoise.open_run("runs/mine")
    assert set(run.scores) == {"mcc", "mig"}
    assert run.scores["mcc"].baseline is not None
    composed = ["data=gratings", "method=compose", 'method.balance=[{name = "cycles", beta = 2.0, count = 4}]']
    assert config.resolve(config.parse(composed)).method.name == "compose"
    for name, text in (
        ("cyclical-vae", "how often the weight rises"),
        ("mcc", "one to one"),
        ("gratings", "stripes"),
    ):
        assert text in CliRunner().invoke(app, ["show", name]).output


@pytest.mark.usefixtures("session")
def test_the_metric_of_the_page_is_1_for_perfect_codes_and_counts_missing_factors_as_0() -> None:
    exec(file_of_adding("mcc.py"), {})
    factors = np.random.default_rng(0).integers((3, 4, 5), size=(500, 3))
    turned = -2.0 * factors[:, [2, 0, 1]] + 1
    assert METRICS["mcc"].function(np.hstack([turned, np.zeros((500, 1))]), factors).value == pytest.approx(1)
    missing = METRICS["mcc"].function(turned[:, :2], factors)
    assert missing.value == pytest.approx(2 / 3)
    assert missing.per_factor.round(6).tolist() == [1, 0, 1]


@pytest.mark.usefixtures("session")
def test_the_weight_of_the_page_rises_in_each_cycle() -> None:
    names: dict[str, Any] = {"__name__": "cyclical"}
    exec(file_of_adding("cyclical.py"), names)
    balance = names["Cycles"](2.0, 4)
    weights = [
        float(balance({"progress": torch.tensor(p)})["kl"]) for p in (0.0, 0.0625, 0.125, 0.2, 0.25, 0.3125, 0.9)
    ]
    assert weights == pytest.approx([0, 1, 2, 2, 0, 1, 2])
    assert float(balance.eval()({"progress": torch.tensor(0.0)})["kl"]) == 2


@pytest.mark.usefixtures("session")
def test_the_likelihood_of_the_page_is_a_density_that_methods_accept_by_name() -> None:
    exec(file_of_adding("laplace.py"), {"__name__": "laplace"})
    words = ["data=dsprites", "method=beta-vae", 'method.likelihood={name = "laplace", scale = 2.0}']
    likelihood = config.outline(config.resolve(config.parse(words))).likelihood
    assert likelihood.settings() == {"scale": 2.0}
    picture, x = torch.tensor([0.5, 0.75]).view(1, 1, 1, 2), torch.tensor([0.25, 1.0]).view(1, 1, 1, 2)
    assert likelihood(picture.logit(), x).tolist() == pytest.approx([1.0])
    at = torch.distributions.Laplace(picture, 0.5).log_prob(x).sum()
    assert likelihood.log_prob(picture.logit(), x).tolist() == pytest.approx([float(at)])
