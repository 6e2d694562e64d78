"""Study files: what is a grid, what is drawn, how runs are called and ordered, and what is refused."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
from typer.main import get_command

from equipoise import config as configuration
from equipoise.cli import app
from equipoise.errors import InputError
from equipoise.study import Plan, Study, open_study, read

BASE = """
[data]
name = "dsprites"
[method]
name = "beta-vae"
"""


def planned(text: str, folder: Path) -> Plan:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return read(file)


def values(plan: Plan, *keys: str) -> list[tuple[object, ...]]:
    return [tuple(config.flat().get(key) for key in keys) for config in plan.runs.values()]


def refusal(text: str, folder: Path) -> str:
    with pytest.raises(InputError) as refused:
        planned(text, folder)
    said = str(refused.value)
    assert "\n" not in said
    return said


def test_a_file_without_lists_is_one_run_with_the_settings_of_a_training(tmp_path: Path) -> None:
    plan = planned(BASE + "beta = 2\n[train]\nsteps = 70\n", tmp_path)
    alone = configuration.resolve(
        {"data": "dsprites", "method": "beta-vae", "method.beta": 2.0, "train.steps": 70, "train.threads": 1}
    )
    (name,) = plan.runs
    assert plan.runs[name].flat() == alone.flat()
    assert name == Path(alone.out).name, "a run is called what it would be called alone"
    assert plan.runs[name].out == f"studies/mine/runs/{name}"
    assert plan.varied == ()
    assert plan.folder == Path("studies/mine")


def test_lists_multiply_in_the_order_of_the_file_and_seeds_vary_slowest(tmp_path: Path) -> None:
    text = """
    out = "there"
    seeds = 2
    [method]
    name = "beta-vae"
    beta = [1.0, 4.0]
    [data]
    name = "dsprites"
    [train]
    batch = [32, 64]
    """
    plan = planned(text, tmp_path)
    assert values(plan, "train.seed", "method.beta", "train.batch") == [
        (seed, beta, batch) for seed in (0, 1) for beta in (1.0, 4.0) for batch in (32, 64)
    ]
    assert plan.varied == ("train.batch", "train.seed", "method.beta")
    assert plan.folder == Path("there")


def test_an_array_of_tables_gives_each_method_settings_of_its_own(tmp_path: Path) -> None:
    text = """
    [data]
    name = "dsprites"
    [[method]]
    name = "beta-vae"
    beta = [1.0, 2.0]
    [[method]]
    name = "annealed-vae"
    c_end = 10.0
    [[train]]
    steps = 100
    [[train]]
    steps = 200
    lr = 1e-3
    """
    plan = planned(text, tmp_path)
    keys = ("method.name", "method.beta", "method.c_end", "train.steps", "train.lr")
    assert values(plan, *keys) == [
        (method, beta, c_end, steps, lr)
        for method, betas, c_end in (("beta-vae", (1.0, 2.0), None), ("annealed-vae", (None,), 10.0))
        for steps, lr in ((100, 1e-4), (200, 1e-3))
        for beta in betas
    ]
    assert set(plan.varied) == {"method.name", "method.beta", "train.steps", "train.lr"}


def test_two_names_of_a_section_are_a_grid_too(tmp_path: Path) -> None:
    text = '[data]\nname = ["dsprites", "rooms3d"]\n[method]\nname = ["vae", "l-vae"]\n'
    assert values(planned(text, tmp_path), "data.name", "method.name") == [
        (data, method) for data in ("dsprites", "rooms3d") for method in ("vae", "l-vae")
    ]


def test_a_setting_that_holds_a_list_takes_a_list_of_lists(tmp_path: Path) -> None:
    one = planned(BASE + '[evaluate]\nwhich = ["mig", "sap"]\n[train]\nbetas = [0.9, 0.99]\n', tmp_path)
    assert values(one, "evaluate.which", "train.betas") == [(["mig", "sap"], [0.9, 0.99])]
    two = planned(BASE + '[evaluate]\nwhich = [["mig"], ["sap", "sse"]]\n', tmp_path)
    assert values(two, "evaluate.which") == [(["mig"],), (["sap", "sse"],)]


def test_a_list_of_one_method_alone_is_a_grid_for_the_others(tmp_path: Path) -> None:
    text = """
    [data]
    name = "dsprites"
    [[method]]
    name = "isa-vae"
    layout = [[2, 2], [4, 4]]
    [[method]]
    name = "isa-vae"
    layout = [5, 5]
    """
    assert values(planned(text, tmp_path), "method.layout", "net.latent") == [([2, 2], 4), ([4, 4], 8), ([5, 5], 10)]


def test_a_setting_that_is_a_table_may_be_a_list_of_tables(tmp_path: Path) -> None:
    text = '[data]\nname = "dsprites"\nkeep = [{shape = [0, 2]}, {shape = 1}]\n[method]\nname = "vae"\n'
    assert values(planned(text, tmp_path), "data.keep") == [({"shape": [0, 2]},), ({"shape": 1},)]
    alone = '[data]\nname = "dsprites"\nkeep = {shape = [0, 2]}\n[method]\nname = "vae"\n'
    assert values(planned(alone, tmp_path), "data.keep") == [({"shape": [0, 2]},)]


DRAWN = """
trials = {trials}
draw_seed = {seed}
seeds = {seeds}
[data]
name = "dsprites"
[train]
lr = {{log_uniform = [1e-5, 1e-2]}}
batch = {{choice = [32, 64, 128]}}
[method]
name = "beta-vae"
beta = {{uniform = [1, 6]}}
[net]
latent = {{integer = [2, 12]}}
"""
KEYS = ("train.lr", "train.batch", "method.beta", "net.latent")


def test_draws_lie_within_their_distributions_and_cover_them(tmp_path: Path) -> None:
    drawn = values(planned(DRAWN.format(trials=200, seed=0, seeds=1), tmp_path), *KEYS)
    assert len(drawn) == 200
    lr, batch, beta, latent = (list(column) for column in zip(*drawn, strict=True))
    assert all(1e-5 <= value < 1e-2 for value in lr)
    assert 0.35 < sum(value < 10**-3.5 for value in lr) / 200 < 0.65, "half of them below the middle of the logarithms"
    assert all(1 <= value < 6 and isinstance(value, float) for value in beta)
    assert 0.35 < sum(value < 3.5 for value in beta) / 200 < 0.65
    assert set(batch) == {32, 64, 128}
    assert set(latent) == set(range(2, 13))
    assert len(set(lr)) == len(set(beta)) == 200
    assert abs(math.fsum((a - 3.5) * (b - 7) for a, b in zip(beta, latent, strict=True)) / 200) < 1.5, "independent"


def test_draws_depend_on_their_seed_alone_and_more_of_them_keep_the_first(tmp_path: Path) -> None:
    first = values(planned(DRAWN.format(trials=3, seed=0, seeds=1), tmp_path), *KEYS)
    assert values(planned(DRAWN.format(trials=5, seed=0, seeds=1), tmp_path), *KEYS)[:3] == first
    assert values(planned(DRAWN.format(trials=3, seed=1, seeds=1), tmp_path), *KEYS) != first
    assert values(planned(DRAWN.format(trials=3, seed=0, seeds=2), tmp_path), *KEYS) == [*first, *first]
    with_another = DRAWN.format(trials=3, seed=0, seeds=1).replace("[train]", "[train]\nclip = {uniform = [1, 2]}")
    assert values(planned(with_another, tmp_path), *KEYS) == first


def test_draws_go_with_every_value_of_the_lists(tmp_path: Path) -> None:
    text = "trials = 2\n" + BASE + "beta = {uniform = [1, 6]}\n[train]\nbatch = [32, 64]\n"
    (first, *_), (same, *_), (second, *_), (again, *_) = values(planned(text, tmp_path), "method.beta", "train.batch")
    assert first == same != second == again


def test_methods_without_a_distribution_are_run_once_beside_those_with_one(tmp_path: Path) -> None:
    text = """
    trials = 3
    [data]
    name = "dsprites"
    [[method]]
    name = "beta-vae"
    beta = {uniform = [1, 6]}
    [[method]]
    name = "l-vae"
    """
    names = [name for (name,) in values(planned(text, tmp_path), "method.name")]
    assert names == ["beta-vae", "beta-vae", "beta-vae", "l-vae"]


def test_equal_settings_are_one_run(tmp_path: Path) -> None:
    plan = planned("seeds = 2\n" + BASE + "beta = [1.0, 1, 2.0]\n", tmp_path)
    assert (len(plan.runs), plan.repeats) == (4, 2)


def test_a_run_has_one_thread_unless_the_file_says_more(tmp_path: Path) -> None:
    assert values(planned(BASE, tmp_path), "train.threads") == [(1,)]
    assert values(planned(BASE + "[train]\nthreads = 3\n", tmp_path), "train.threads") == [(3,)]


def test_runs_are_called_by_data_method_and_the_hash_of_their_settings(tmp_path: Path) -> None:
    plan = planned(BASE + "beta = [1.0, 2.0]\n[train]\nsteps = 100\n", tmp_path)
    for name, config in plan.runs.items():
        assert name == f"dsprites-beta-vae-{configuration.identity(config)}"
    longer = planned(BASE + "beta = [1.0, 2.0]\n[train]\nsteps = 200\n", tmp_path)
    assert list(longer.runs) == list(plan.runs), "more steps extend a run where no schedule is as long as it"


def test_a_study_folder_may_be_moved(tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "study.toml").write_text('out = "elsewhere"\n' + BASE, encoding="utf-8")
    plan = open_study(tmp_path / "moved")
    assert plan.folder == tmp_path / "moved"
    assert all(Path(config.out).parent == tmp_path / "moved" / "runs" for config in plan.runs.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds = ", "mine.toml is not valid TOML"),
        ("sedes = 2" + BASE, "sedes: a study has no such key or section; did you mean seeds?"),
        ("[nets]\nlatent = 3" + BASE, "nets: a study has no such key or section; did you mean net?"),
        ("seeds = 0" + BASE, "seeds is 0; input should be greater than or equal to 1"),
        ("seeds = 2.5" + BASE, "seeds is 2.5; input should be a valid integer"),
        ("retries = -1" + BASE, "retries is -1; input should be greater than or equal to 0"),
        ("out = 3" + BASE, "out is 3; input should be a valid string"),
        (
            'data = "dsprites"\n[method]\nname = "vae"',
            "[data] is 'dsprites'; expected a table of settings, or an array",
        ),
        ("train = []" + BASE, "[train] is []; expected a table of settings, or an array of tables [[train]]"),
        ("train = [1]" + BASE, "[train] is [1]; expected a table of settings, or an array of tables [[train]]"),
        ("seeds = 2" + BASE + "[train]\nseed = [4, 5]", "seeds and train.seed both set the seeds; remove one"),
        (BASE + "beta = []", "method.beta is an empty list; give it at least one value, or remove it"),
        (
            BASE + "beta = {uniform = [1, 6]}",
            "method.beta is drawn from a distribution; add the number of draws",
        ),
        (
            "trials = 2" + BASE,
            "trials is the number of draws, but no setting is a distribution such as {uniform = [1, 6]}; remove",
        ),
        (
            "trials = 2" + BASE + "beta = {uniform = [6, 1]}",
            "method.beta: uniform is [6, 1]; expected the lowest first",
        ),
        (
            "trials = 2" + BASE + "beta = {uniform = [1]}",
            "method.beta: uniform is [1]; expected two numbers, the lowest",
        ),
        ("trials = 2" + BASE + "beta = {uniform = [1, nan]}", "method.beta: uniform is [1, nan]; expected two numbers"),
        ("trials = 2" + BASE + f"beta = {{uniform = [0, {10**400}]}}", "method.beta is"),
        ("trials = 2" + BASE + f"beta = {{log_uniform = [1, {10**30}]}}", "method.beta is"),
        ("trials = 2" + BASE + "beta = {uniform = [-1.7e308, 1.7e308]}", "expected a number that single precision can"),
        ("trials = 2" + BASE + "beta = {integer = [1, 2.5]}", "method.beta: integer is [1, 2.5]; expected two numbers"),
        (
            "trials = 2" + BASE + "beta = {log_uniform = [0, 1]}",
            "method.beta: log_uniform is [0, 1]; expected the lowest first, above 0",
        ),
        ("trials = 2" + BASE + "beta = {choice = 3}", "method.beta: choice is 3; expected a list of values"),
        ("trials = 2" + BASE + "beta = {choice = []}", "method.beta: choice is []; expected a list of values"),
        (
            BASE + "bta = 2",
            "a run of this study is not possible (data.name=dsprites, method.name=beta-vae): method.bta",
        ),
        (BASE + "beta = [1.0, -1.0]", "method.beta is -1.0; input should be greater than or equal to 0"),
        (BASE + "beta = {unifrom = [1, 6]}", "method.beta is {'unifrom': [1, 6]}; input should be a valid number"),
        ('[method]\nname = "vae"', "(method.name=vae): data is missing; set it, such as"),
        ("[train]\nsteps = 60", "a run of this study is not possible: data is missing; set it, such as"),
        (
            BASE + "[train]\nsteps = [100, 200]",
            "train.steps = [100, 200] would be one run, trained further; give the largest",
        ),
        (
            BASE + '[train]\nkeep = ["all", "model"]',
            "train.keep does not change the result of a run, so its values would be one run; give it one value",
        ),
    ],
)
def test_what_cannot_be_a_study_is_refused_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(text, tmp_path)


def test_the_folder_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert planned('out = "~/mine"\n' + BASE, tmp_path).folder == tmp_path / "mine"


def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; expected a study in TOML"):
        read(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\); expected a study in TOML"):
        read(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'out = "\xe9"')
    with pytest.raises(InputError, match="is not valid TOML"):
        read(tmp_path / "latin.toml")
    with pytest.raises(InputError, match=r"is not a study \(it has no study.toml\); expected the folder that a sweep"):
        open_study(tmp_path)


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")


def test_the_studies_of_the_docs_can_be_run(tmp_path: Path) -> None:
    blocks = dict(re.findall(r"^```toml\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    assert list(blocks) == ["examples/study.toml", "random.toml"]
    example = (ROOT / "examples" / "study.toml").read_text(encoding="utf-8")
    assert example.partition("\n")[2] == blocks["examples/study.toml"], "the page shows the file, but for its comment"
    plan = read(ROOT / "examples" / "study.toml")
    assert (len(plan.runs), plan.folder) == (12, Path("studies/first"))
    assert len(planned(blocks["random.toml"], tmp_path).runs) == 2 * 20 * (1 + 2)


def test_the_commands_of_the_docs_exist() -> None:
    words = [line.split() for line in re.findall(r"equipoise ((?:sweep|status) [^#`\n]+)", PAGE)]
    assert len(words) == 5
    for command, path, *options in words:
        assert path == {"sweep": "examples/study.toml", "status": "studies/first"}[command]
        known = {flag for parameter in get_command(app).commands[command].params for flag in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= known


def test_the_table_of_keys_is_that_of_the_code() -> None:
    table = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", PAGE, re.MULTILINE)
    fields = {field.name: field.default for field in dataclasses.fields(Study)}
    assert [key for key, _ in table] == list(fields)
    for key, default in table:
        if key != "out":
            assert (int(default) if default else None) == fields[key]
