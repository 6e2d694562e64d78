"""The command line as a person types it: real processes, killed and resumed, and every refusal in one sentence."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import SMALL as LITTLE
from tests.test_runs import same_training

from equipoise import cli
from equipoise.cli import main
from equipoise.commands import COMMANDS
from equipoise.methods import METHODS
from equipoise.outcome import Outcome
from equipoise.training import checkpoint

COMMAND = [sys.executable, "-m", "equipoise"]
# Learned weights, and an adversary with three optimisers. training/test_resume.py has every method.
KILLED = ("l-vae", "dava")
SMALL = [
    "net=burgess",
    "net.latent=3",
    "train.batch=16",
    "train.log_every=7",
    "train.checkpoint_every=5",
    "train.threads=1",
    'evaluate.which=["mig", "sse"]',
]


def equipoise(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*COMMAND, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=280)


@dataclass
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one sentence of a refusal: exit 2, nothing on standard output, no traceback."""
        assert self.code == 2, self.err
        assert self.out == ""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("equipoise: ")
        return lines[0]


Here = Callable[..., Said]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Runs a command in this process, in an empty folder: a process of its own spends seconds on imports."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["equipoise", *words])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exit:
            code = int(exit.code or 0)
        return Said(code, *capfd.readouterr())

    return run


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name in KILLED else pytest.mark.slow) for name in METHODS]
)
def test_a_run_killed_at_a_random_moment_and_resumed_equals_the_uninterrupted_one(
    method: str, squares: Callable[[], str], here: Here, tmp_path: Path
) -> None:
    own = [
        f"method.{key}={list(value) if isinstance(value, tuple) else value}"
        for key, value in LITTLE.get(method, {}).items()
    ]
    words = ["train", f"data={squares()}", f"method={method}", "train.steps=150", *SMALL, *own]
    assert here(*words, f"out={tmp_path / 'whole'}").code == 0

    broken = tmp_path / "broken"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*COMMAND, *words, f"out={broken}"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not (broken / "checkpoint.pt").exists():
            time.sleep(0.005)
        time.sleep(random.SystemRandom().uniform(0, 0.5))
        process.kill()
    killed_at = checkpoint.load(broken / "checkpoint.pt")["step"]
    assert here(*words, f"out={broken}").code == 0
    assert same_training(tmp_path / "whole", broken), f"killed after step {killed_at}"
    assert (tmp_path / "whole" / "scores.json").exists()
    assert (broken / "report.html").exists()


def test_sigterm_saves_and_says_where_it_stopped(squares: Callable[[], str], tmp_path: Path) -> None:
    words = ["train", f"data={squares()}", "train.steps=100000", "train.checkpoint_every=100000", *SMALL[:4], "out=run"]
    with subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    ) as process:
        log = tmp_path / "run" / "log.jsonl"
        while process.poll() is None and not (log.exists() and log.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped after step" in said.splitlines()[-1]
    assert "Traceback" not in said
    step = checkpoint.load(tmp_path / "run" / "checkpoint.pt")["step"]
    assert f"step {step} " in said


def test_train_evaluate_encode_and_report_end_by_saying_where_they_wrote(
    squares: Callable[[], str], here: Here, tmp_path: Path
) -> None:
    data = squares()
    done = here("train", f"data={data}", "train.steps=20", *SMALL, "out=runs/a")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "wrote runs/a; open runs/a/report.html"
    again = here("train", f"data={data}", "train.steps=20", *SMALL, "out=runs/a", "--json")
    assert json.loads(again.out)["scores"]["sse"]["value"] > 0

    done = here("evaluate", "runs/a", "--which", "sap", "--which", "mig")
    assert done.out.splitlines()[-1] == "wrote runs/a/scores.json"
    assert set(json.loads((tmp_path / "runs/a/scores.json").read_text())["scores"]) == {"sap", "mig", "sse"}

    done = here("encode", "runs/a", data, "--out", "codes.npz")
    assert done.out.splitlines()[-1] == "wrote codes.npz"
    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["mean"].shape == (75, 3)
        assert codes["factors"].shape == (75, 3)

    done = here("evaluate", "--codes", "codes.npz", "--which", "mig", "--json")
    assert json.loads(done.out)["wrote"] == "codes.scores.json"

    (tmp_path / "runs/a/report.html").unlink()
    done = here("report", "runs/a")
    assert done.out.splitlines()[-1] == "wrote runs/a/report.html"
    assert (tmp_path / "runs/a/report.html").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("list", "methods"),
        ("list", "metrics"),
        ("list", "data"),
        ("list", "nets"),
        ("data", "list"),
        ("data", "info", "dsprites"),
        ("show", "l-vae"),
        ("show", "mig"),
        ("show", "dsprites"),
        ("show", "locatello"),
        ("show", "train"),
    ],
)
def test_what_there_is_can_be_listed_and_shown_as_text_and_as_json(words: tuple[str, ...], here: Here) -> None:
    text = here(*words)
    assert text.code == 0, text.err
    assert text.out.strip()
    assert json.loads(here(*words, "--json").out)


def test_show_gives_the_loss_the_settings_with_reasons_and_the_presets(here: Here) -> None:
    said = here("show", "l-vae").out
    for part in ("sigma_rec^2", "floor = unset", "Eq. 5", "paper_lvae", "train.schedule_steps=300000"):
        assert part in said


@pytest.mark.parametrize("words", [("--help",), ("train", "--help")])
def test_help_teaches_without_importing_torch(words: tuple[str, ...]) -> None:
    assert "equipoise train" in equipoise(*words).stdout
    code = "import sys, equipoise.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_the_whole_docstring(name: str, here: Here) -> None:
    """Brackets, such as those of `data.factors=[kind]`, are no markup."""
    assert " ".join((COMMANDS[name].__doc__ or "-").split()) in " ".join(here(name, "--help").out.split())


SETTINGS = {
    "method=l-vaee": "l-vaee: no such method; did you mean l-vae?",
    "method.betta=2": "method.betta: no such setting of l-vae",
    "train.stepz=5": "train.stepz: no such setting of train; did you mean steps?",
    "trian.steps=5": "trian.steps: no such setting; did you mean train.steps?",
    "law=published": "law: no such setting; did you mean method.law?",
    "seed=2": "seed: no such setting; did you mean data.seed or train.seed?",
    "metod=vae": "metod: no such setting; did you mean method?",
    "train.steps=many": "train.steps is 'many'; input should be a valid integer",
    "train.lr=-1": "train.lr is -1; input should be greater than 0",
    "train.lr=nan": "train.lr is nan",
    "train.betas=[0.9]": "train.betas",
    "net=locatelo": "locatelo: no such net; did you mean locatello?",
    "method.preset=papr": "papr: no such preset of l-vae",
    "train.steps": "train.steps: expected key=value",
    "data.split=[0.5, 0.1]": "data.split is [0.5, 0.1]; expected two or more positive fractions whose sum is 1",
    "train.device=tpu": "train.device is tpu, which this machine does not offer",
    "data=dsprits": "did you mean dsprites?",
    "data=missing/folder": "missing/folder",
    "evaluate.which=migg": "no metric named 'migg'; did you mean mig?",
}


@pytest.mark.parametrize("word", SETTINGS)
def test_a_wrong_setting_is_one_sentence_and_writes_nothing(
    word: str, squares: Callable[[], str], tmp_path: Path, here: Here
) -> None:
    words = [f"data={squares()}", "method=l-vae", "train.steps=2", "net=burgess", "out=run"]
    others = [each for each in words if not each.startswith(f"{word.partition('=')[0]}=")]
    said = here("train", *others, word).refusal()
    assert SETTINGS[word] in said
    assert not list(tmp_path.iterdir())


def _corrupt_image(folder: Path) -> str:
    for i in range(3):
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes((folder / "2.png").read_bytes()[:40])
    return str(folder)


def _mixed_sizes(folder: Path) -> str:
    for side in (16, 24):
        Image.fromarray(np.zeros((side, side), np.uint8)).save(folder / f"{side}.png")
    return str(folder)


def _empty_folder(folder: Path) -> str:
    return str(folder)


def _array_with_nan(folder: Path) -> str:
    np.save(folder / "x.npy", np.full((4, 16, 16), np.nan, np.float32))
    return str(folder / "x.npy")


def _object_array(folder: Path) -> str:
    np.save(folder / "x.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return str(folder / "x.npy")


def _truncated_npz(folder: Path) -> str:
    np.savez_compressed(folder / "whole.npz", images=np.random.default_rng(0).integers(0, 255, (9, 16, 16), np.uint8))
    (folder / "x.npz").write_bytes((folder / "whole.npz").read_bytes()[:700])
    return str(folder / "x.npz")


def _zip_of_something_else(folder: Path) -> str:
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    return str(folder / "x.npz")


DATA: dict[str, tuple[Callable[[Path], str], str]] = {
    "a corrupt image": (_corrupt_image, "3.png"),
    "images of mixed sizes": (_mixed_sizes, "data.size=64"),
    "an empty folder": (_empty_folder, "no images"),
    "an array with NaN": (_array_with_nan, "x.npy"),
    "an object array": (_object_array, "x.npy"),
    "a truncated npz": (_truncated_npz, "x.npz"),
    "a zip of something else": (_zip_of_something_else, "x.npz"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_cannot_be_used_is_one_sentence_and_writes_nothing(name: str, tmp_path: Path, here: Here) -> None:
    make, expected = DATA[name]
    (tmp_path / "data").mkdir()
    said = here("train", f"data={make(tmp_path / 'data')}", "method=l-vae", "net=burgess", "out=run").refusal()
    assert expected in said
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_holds_another_run_is_refused(squares: Callable[[], str], here: Here) -> None:
    words = ["train", f"data={squares()}", "method=l-vae", "train.steps=3", *SMALL, "out=run"]
    assert here(*words).code == 0
    said = here(*words, "train.lr=1e-3").refusal()
    assert "run holds another run (train.lr is 0.0001 there, 0.001 here); choose another out" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("evaluate",), "give one of the two"),
        (("evaluate", "nowhere"), "nowhere is not a run"),
        (("report", "nowhere"), "nowhere is not a run and contains no scored run"),
        (("show", "l-va"), "did you mean l-vae?"),
        (("list", "method"), "did you mean methods?"),
        (("data", "info", "dsprits"), "did you mean dsprites?"),
        (("train", "missing.toml"), "missing.toml: no such file"),
        (("train", "images"), "images is not a file of settings in TOML; give images as data=images"),
        (("train", "qlae"), "qlae is not a file of settings in TOML; give the method as method=qlae"),
        (("train",), "data is missing"),
        (
            ("train", "data=a", "train.steps=2", "train.steps=3"),
            "train.steps is set twice, to 2 and to 3; leave",
        ),
        (("train", "data=a", "data.name=b"), "data.name is set twice, to a and to b; leave one of them out"),
        (
            ("train", "data=a", "train.labels=5", "train.labels.source=6"),
            "train.labels.source is set twice, to 5 and to 6",
        ),
        (
            ("train", "data=a", "train.labels.weight=5", "train.labels={source=20,weight=30.0}"),
            "train.labels.weight is set twice, to 5 and to 30.0; leave one of them out",
        ),
        (
            ("train", "data=a", "train.labels={source=20,weight=30.0}", "train.labels.weight=5"),
            "train.labels.weight is set twice, to 30.0 and to 5; leave one of them out",
        ),
        (
            ("train", "data=a", "data.keep={shape=0}", "data.keep.shape=1"),
            "data.keep.shape is set twice, to 0 and to 1",
        ),
        (
            ("train", "data=dsprites", "train.labels.weight=10"),
            "train.labels.source is missing, and train.labels.weight needs it; set it to the number or share",
        ),
        (("sample", "run", "--n", "3", "--n=3"), "--n is given more than once; give it once"),
        (("auto", "a", "b"), "data.name is set twice, to a and to b; leave one of them out"),
    ],
)
def test_other_commands_refuse_in_one_sentence_too(words: tuple[str, ...], expected: str, here: Here) -> None:
    assert expected in here(*words).refusal()


def test_a_settings_file_is_read_and_the_command_line_wins(
    squares: Callable[[], str], tmp_path: Path, here: Here
) -> None:
    (tmp_path / "my.toml").write_text(
        f'out = "run"\n[data]\nname = "{squares()}"\n[method]\nname = "beta-vae"\nbeta = 2\n[train]\nsteps = 9\n'
    )
    done = here("train", "my.toml", "train.steps=3", *SMALL)
    assert done.code == 0, done.err
    written = (tmp_path / "run" / "config.toml").read_text()
    assert "beta = 2.0" in written
    assert "steps = 3" in written
    (tmp_path / "my.toml").write_text("[train\nsteps = 3")
    assert "my.toml is not valid TOML" in here("train", "my.toml").refusal()


def test_help_has_no_backslashes_where_rich_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> Outcome:
        """Draw.

        A film needs `pip install equipoise[video]`.
        """
        raise NotImplementedError

    assert cli.help_of(command) == "Draw.\n\nA film needs `pip install equipoise\\[video]`."
    monkeypatch.setattr(cli.app, "rich_markup_mode", None)
    assert cli.help_of(command) == "Draw.\n\nA film needs `pip install equipoise[video]`."
