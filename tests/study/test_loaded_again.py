"""Scripts that call a study without the guard that its processes need."""

import multiprocessing
from collections.abc import Callable

import pytest

import equipoise as eq
from equipoise.study.search.search import search

CALLS: dict[str, Callable[[], object]] = {
    "auto": lambda: eq.auto("dsprites"),
    "sweep": lambda: eq.sweep("study.toml"),
    "search": lambda: search("study.toml"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_process_that_loads_the_script_again_ends_with_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit):
        CALLS[name]()
    sentence = f'the processes of {name} load this script again: call it under if __name__ == "__main__":'
    assert capsys.readouterr().err == f"equipoise: {sentence}\n"
