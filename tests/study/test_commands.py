"""`equipoise sweep` and `equipoise status` as a person types them."""

import dataclasses
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tests.study.conftest import STUDY, write_study

from equipoise import automatic, study
from equipoise.claim import Claims
from equipoise.cli import main
from equipoise.study.folder import FILE
from equipoise.study.run import display
from equipoise.study.run.status import State, Watch
from equipoise.study.run.work import record_failure, work

Said = tuple[int, str, str]


@pytest.fixture
def say(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:  # noqa: ARG001
    """Runs a command in this process: exit code, standard output, standard error."""

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["equipoise", *words])
        monkeypatch.setenv("COLUMNS", "120")
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exit:
            code = int(exit.code or 0)
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def half_done(here: Path, drawn: None) -> study.Plan:  # noqa: ARG001
    """A study with a run that is done, one that is held at step 40 of 60, one that waits, and one that failed."""
    plan = study.read(write_study())
    first, second, third, _ = plan.runs.values()
    assert work(first, plan.folder) == "done"
    asked = iter([False] * 40 + [True])
    assert work(second, plan.folder, lambda: next(asked)) == "stopped"
    for _ in range(6):
        record_failure(plan.folder, Path(third.out).name, "step 7: kl is not finite")
    (plan.folder / FILE).write_text(Path("study.toml").read_text())
    return plan


def test_status_tells_what_is_done_running_waiting_and_failed(half_done: study.Plan, say: Callable[..., Said]) -> None:
    done, running, failed, waiting = half_done.runs
    taken = Claims().take(half_done.folder / "runs" / running)
    assert taken is not None
    code, out, err = say("status", "study")
    assert code == 1
    assert err == ""
    first, second, third = out.splitlines()
    assert first.startswith("study: 4 runs: 1 done, 1 running, 1 waiting, 1 failed, ")
    assert first.endswith(" of training left")
    assert second.startswith(f"  {running} is at step 40 of 60 (")
    assert third == f"  {failed} failed 6 times: step 7: kl is not finite"

    code, out, _ = say("status", "study", "--json")
    said = json.loads(out)
    assert code == 1
    assert not said["done"]
    stages = {done: "done", running: "running", failed: "failed", waiting: "waiting"}
    assert {run["run"]: run["stage"] for run in said["runs"]} == stages
    assert {run["run"]: run["step"] for run in said["runs"]} == {done: 60, running: 40, failed: 0, waiting: 0}
    assert [run["tries"] for run in said["runs"]] == [0, 0, 6, 0]
    taken.release()
    assert "1 done, 2 waiting, 1 failed" in say("status", "study")[1]


@pytest.mark.parametrize("name", ["config.toml", "failure"])
def test_a_damaged_file_of_one_run_does_not_stop_the_study(name: str, half_done: study.Plan) -> None:
    done, running, *_ = half_done.runs.values()
    file = Path(done.out) / "config.toml"
    if name == "failure":
        file = half_done.folder / "failures" / f"{Path(running.out).name}.json"
        file.parent.mkdir(exist_ok=True)
    file.write_text("a = [1,")
    stages = [state.stage for state in Watch(half_done)()]
    assert stages == (["failed", "waiting"] if name == "config.toml" else ["done", "failed"]) + ["failed", "waiting"]
    if name == "config.toml":
        assert work(done, half_done.folder) == "failed"
        assert "config.toml" in Watch(half_done)()[0].reason


def test_status_of_a_study_that_is_done_exits_with_zero(
    half_done: study.Plan, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path("study.toml").read_text().replace("seeds = 2", "seeds = 1").replace('[[method]]\nname = "l-vae"', "")
    (half_done.folder / FILE).write_text(text)
    assert say("status", "study") == (0, "study: 1 run: 1 done\n", "")
    assert say("status", "study", "--watch") == (0, "study: 1 run: 1 done\n", "")
    monkeypatch.chdir("study")
    assert say("status", ".") == (0, ".: 1 run: 1 done\n", "")


def test_status_of_no_study_is_refused(say: Callable[..., Said]) -> None:
    code, out, err = say("status", "nowhere")
    assert (code, out) == (2, "")
    assert (
        err == "equipoise: nowhere is not a study (there is no such folder); expected the folder that a sweep wrote\n"
    )


def test_a_dry_run_lists_the_runs_times_them_and_does_nothing(
    half_done: study.Plan, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "SECONDS", 0.1)
    before = sorted(Path("study").rglob("*"))
    code, out, err = say("sweep", "study.toml", "--dry-run", "--workers", "2")
    assert code == 0
    assert err == ""
    header, *rows, counts, time, last = out.splitlines()
    assert header.split() == ["run", "train.start_at_mean", "train.seed", "method.name", "method.likelihood", "stage"]
    assert [row.split() for row in rows] == [
        [
            run,
            str(config.train.start_at_mean),
            str(config.train.seed),
            config.method.name,
            str(config.flat()["method.likelihood"]),
            stage,
        ]
        for (run, config), stage in zip(half_done.runs.items(), ("done", "waiting", "failed", "waiting"), strict=True)
    ]
    assert counts == "4 runs: 1 done, 2 waiting, 1 failed; 80 steps of training left"
    assert time.startswith("about 0:00:0")
    assert time.endswith(" of training, 2 at once")
    assert last == "nothing was done; without --dry-run the runs are written to study"
    assert sorted(Path("study").rglob("*")) == before
    said = json.loads(say("sweep", "study.toml", "--dry-run", "--json")[1])
    assert said["varied"] == ["train.start_at_mean", "train.seed", "method.name", "method.likelihood"]
    assert said["seconds"] > 0
    assert [run["method.name"] for run in said["runs"]] == ["beta-vae", "l-vae"] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study.toml", "--engine", "rai"], "rai: no such engine; did you mean ray?"),
        (["study.toml", "--workers", "0"], "workers is 0; expected 1 or more, such as the number of cores"),
        (
            ["study.toml", "--dry-run", "--workers", "-2"],
            "workers is -2; expected 1 or more, such as the number of cores",
        ),
        (
            ["study.toml", "--engine", "slurm", "--gpus", "nan"],
            "gpus is nan; expected 0 or more, with engine ray or slurm",
        ),
        (["study.toml", "--gpus", "1"], "gpus is 1; expected 0 or more, with engine ray or slurm"),
        (["other.toml"], "other.toml: no such file; expected a study in TOML"),
    ],
)
def test_what_a_sweep_cannot_do_is_refused_in_one_sentence(
    words: list[str], said: str, say: Callable[..., Said]
) -> None:
    write_study()
    assert say("sweep", *words) == (2, "", f"equipoise: {said}\n")


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_a_study_is_not_written_to_a_file_or_a_run(
    option: list[str], half_done: study.Plan, say: Callable[..., Said]
) -> None:
    run = next(iter(half_done.runs.values())).out
    for out, kind in ((run, "the folder of a run"), ("study.toml", "a file")):
        Path("other.toml").write_text(Path("study.toml").read_text().replace('out = "study"', f'out = "{out}"'))
        sentence = f"equipoise: out is {out}, which is {kind}; choose another folder\n"
        assert say("sweep", "other.toml", *option) == (2, "", sentence)
    assert not Path(run, "study.toml").exists()


@pytest.mark.filterwarnings("default:.* that the file does not describe")
@pytest.mark.usefixtures("half_done")
def test_runs_that_the_file_does_not_describe_are_named(say: Callable[..., Said]) -> None:
    text = Path("study.toml").read_text().replace('[[method]]\nname = "l-vae"', "").replace("seeds = 2", "seeds = 1")
    Path("fewer.toml").write_text(text)
    code, _, err = say("sweep", "fewer.toml", "--dry-run", "--no-progress")
    assert code == 0
    assert "that the file does not describe; compare and select leave them out" in err
    _, _, err = say("sweep", "study.toml", "--dry-run", "--no-progress")
    assert "does not describe" not in err


@pytest.mark.filterwarnings("default:.* that the file does not describe")
@pytest.mark.usefixtures("half_done")
def test_the_copy_of_a_study_can_be_swept_itself(say: Callable[..., Said]) -> None:
    text = Path("study.toml").read_text().replace('out = "study"\n', "").replace("seeds = 2", "seeds = 1")
    text = text.replace('[[method]]\nname = "l-vae"', "")
    Path("study").rename("studies")  # where a file called mine.toml puts its study
    Path("studies", "mine").mkdir()
    Path("studies", "runs").rename(Path("studies", "mine", "runs"))
    Path("mine.toml").write_text(text)
    code, out, _ = say("sweep", "mine.toml")
    assert (code, out) == (0, "studies/mine: 1 run: 1 done\nwrote studies/mine\n")
    code, out, _ = say("sweep", "studies/mine/study.toml")
    assert (code, out) == (0, "studies/mine: 1 run: 1 done\nwrote studies/mine\n")


@pytest.mark.filterwarnings("default:.* repeat an earlier one")
@pytest.mark.usefixtures("drawn")
def test_settings_that_are_given_twice_are_noted(say: Callable[..., Said]) -> None:
    write_study(STUDY.replace("batch = 16", "batch = [16, 16]"))
    code, out, err = say("sweep", "study.toml", "--dry-run", "--no-progress")
    assert code == 0, out + err
    assert "4 of 8 combinations of settings repeat an earlier one; equal settings are trained once" in err


def test_the_help_of_a_sweep_has_a_study(say: Callable[..., Said]) -> None:
    code, out, _ = say("sweep", "--help")
    assert code == 0
    assert "beta = [1.0, 2.0, 4.0]" in out
    assert "equipoise sweep examples/study.toml --dry-run" in out


STATE = State("a", "running", 20, 60, 320.0, 20.0, "host, process 7", 0, "")


def test_time_left_follows_from_the_pace_of_what_runs_now() -> None:
    waiting = dataclasses.replace(
        STATE, run="b", stage="waiting", step=0, images_per_second=None, steps_per_second=None
    )
    failed = dataclasses.replace(waiting, run="c", stage="failed", tries=1, reason="it fell")
    assert display.seconds_left([STATE, waiting, failed]) == (40 + 60) / 20
    assert display.seconds_left([waiting]) is None
    assert display.summary([STATE, waiting, failed]) == (
        "3 runs: 1 running, 1 waiting, 1 failed, 320 images/s, about 0:00:05 of training left"
    )
    again = dataclasses.replace(STATE, reason="it fell", tries=1)
    assert display.lines([again, failed]) == [
        "  a is at step 20 of 60 (host, process 7); failed before: it fell",
        "  c failed once: it fell",
    ]


def test_a_terminal_shows_a_table_and_a_file_a_line_for_each_run_that_ends() -> None:
    waiting = dataclasses.replace(STATE, run="[b]", stage="waiting", step=0)
    states = [STATE, waiting]
    text, screen = io.StringIO(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with display.live(Console(file=text), lambda: states) as line, display.live(console, lambda: states) as show:
        line()
        show()
        states[1] = dataclasses.replace(waiting, stage="failed", reason="it [fell]")
        line()
        show()
        states[0] = dataclasses.replace(STATE, stage="done", step=60)
        line()
        line()
    assert text.getvalue() == "1 of 2: [b] failed: it [fell]\n2 of 2: a done\n"
    assert "20 of 60" in screen.getvalue()
    assert "[b] failed: it [fell]" in screen.getvalue()


def test_what_is_watched_is_read_again_until_it_is_done(half_done: study.Plan) -> None:
    states = Watch(half_done)
    first = states()
    claims = Claims()
    taken = claims.take(half_done.folder / "runs" / first[3].run)
    assert taken is not None
    assert [state.stage for state in states()] == ["done", "waiting", "failed", "running"]
    taken.release()
