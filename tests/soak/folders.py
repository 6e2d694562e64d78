"""Changed files of a finished run: each is named or made again, and nothing else is lost."""

import dataclasses
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import contents, is_equal, prepare, require

from equipoise import audit, commands, report, runs
from equipoise.config import resolve
from equipoise.errors import InputError, RunError
from equipoise.files import write_text
from equipoise.training import checkpoint

JSON = ("", "{", "[]", "{}", "null", "[" * 9999, '{"format": 1}', '{"scores": {"mig": 1}}', "9" * 5000, '{"step": {}}')
SETTINGS = {
    "data": "data.npz",
    "out": "run",
    "method": "l-vae",
    "net": "small",
    "net.latent": 3,
    "train.batch": 16,
    "train.steps": 4,
    "train.schedule_steps": 10,
    "train.log_every": 1,
    "train.threads": 1,
    "evaluate.which": ["mig", "sse"],
}
FIXED = ("checkpoint.pt", "log.jsonl", "meta.json", "config.toml")  # files that no command makes again by itself


class Folders:
    """Change one or two files of a finished run, run all commands on it, and compare what is left."""

    def __init__(self, folder: Path) -> None:
        os.chdir(prepare(folder))
        report.write = lambda run: write_text(run.path / "report.html", "drawn")  # type: ignore[assignment]
        self.config = resolve(SETTINGS)
        self.longer = dataclasses.replace(self.config, train=dataclasses.replace(self.config.train, steps=6))
        runs.execute(self.longer, progress=False)
        Path("run").rename("longer")
        runs.execute(self.config, progress=False)
        shutil.copytree("run", "whole")
        self.whole = {path: contents(Path(path)) for path in ("whole", "longer")}

    def trial(self, rng: random.Random, number: int) -> int:  # noqa: ARG002
        """Try one changed folder. Returns 1."""
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree("whole", "run")
        changed = [mutate(Path("run"), rng) for _ in range(rng.choice((1, 1, 1, 2)))]
        what = f"{Path.cwd()}/run with changed {', '.join(changed)}"
        reading = (
            lambda: commands.check(Path("run")),
            lambda: commands.status(Path("run"), progress=False),
            lambda: (lambda run: (run.model, run.logs, run.codes, run.scores, run.meta))(runs.open_run("run")),
            lambda: commands.evaluate([Path("run")], progress=False),
            lambda: commands.export(Path("run"), out=Path("exported")),
        )
        for each in rng.sample(reading, 3):
            attempt(each, what)
        is_longer = rng.random() < 0.3
        config, whole = (self.longer, self.whole["longer"]) if is_longer else (self.config, self.whole["whole"])
        damaged = [name for name in changed if is_changed(name)]
        if attempt(lambda: runs.execute(config, progress=False), what):
            self._compare(whole, damaged, what)
        for name in changed:
            if name in FIXED and not is_longer:
                shutil.copy(Path("whole", name), Path("run", name))
        if not is_longer:  # what was refused loses nothing: with the files of a copy the run is whole again
            require(attempt(lambda: runs.execute(config, progress=False), what), f"{what} is refused after the repair")
            self._compare(whole, [], what)
        return 1

    def _compare(self, whole: dict[str, Any], damaged: list[str], what: str) -> None:
        """Require that the run is whole, except for rows of the log that no file has, which an audit names."""
        found = contents(Path("run"))
        if "log.jsonl" in damaged and any("shorter than its checkpoint" in fault for fault in found["faults"]):
            found["state"]["log"] = whole["state"]["log"]  # a digest of the rows that are left
            found |= {"log": whole["log"], "faults": []}
        differing = [key for key in whole if not is_equal(whole[key], found[key])]
        require(not differing, f"{what} differs in {', '.join(differing)} {found['faults']}")


class Flips:
    """Flip one bit of a checkpoint, which every command has to name."""

    def __init__(self, folder: Path) -> None:
        os.chdir(prepare(folder))
        report.write = lambda run: write_text(run.path / "report.html", "drawn")  # type: ignore[assignment]
        runs.execute(resolve(SETTINGS), progress=False)
        self.content = Path("run/checkpoint.pt").read_bytes()

    def trial(self, rng: random.Random, number: int) -> int:  # noqa: ARG002
        """Flip one bit. Returns 1."""
        changed = bytearray(self.content)
        place = rng.randrange(8 * len(changed))
        changed[place // 8] ^= 1 << place % 8
        file = Path("run/checkpoint.pt")
        file.write_bytes(changed)
        files = {path: path.read_bytes() for path in Path("run").iterdir() if path.is_file()}
        faults = audit.audit(Path("run")).faults
        require(any("checkpoint.pt cannot be read" in fault for fault in faults), f"bit {place}: {faults}")
        for each in (lambda: runs.execute(resolve(SETTINGS), progress=False), lambda: checkpoint.load(file)):
            require(not attempt(each, f"bit {place}"), f"bit {place} was accepted")
        require({path: path.read_bytes() for path in files} == files, f"bit {place}: a file was changed")
        return 1


def is_changed(name: str) -> bool:
    """Whether this file of the run differs from that of the whole run."""
    path = Path("run", name)
    return not path.exists() or path.read_bytes() != Path("whole", name).read_bytes()


def attempt(action: Callable[[], object], what: str) -> bool:
    """Whether an action succeeds; otherwise it has to raise one sentence."""
    try:
        action()
    except (InputError, RunError, OSError) as error:
        require("\n" not in str(error) and str(error), f"{what}: {error!r}")
        return False
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}"[:2000]) from error
    return True


def mutate(run: Path, rng: random.Random) -> str:
    """Change one file of a run and return its name."""
    paths = sorted(path for path in run.iterdir() if path.is_file() and path.suffix not in (".html", ".moved"))
    path = rng.choice(paths)
    content = bytearray(path.read_bytes()) or bytearray(b" ")
    match rng.randrange(9):
        case 0:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 1:
            del content[rng.randrange(len(content)) :]
        case 2:
            content = bytearray(rng.choice(JSON).encode())
        case 3:
            content = bytearray(rng.choice(paths).read_bytes())
        case 4:
            where = rng.randrange(len(content))
            content[where : where + 20] = rng.randbytes(20)
        case 5:
            path.unlink()
            return path.name
        case 6:
            path.rename(path.with_suffix(".moved"))
            return path.name
        case 7:  # an edit by hand: another number
            digits = [i for i, byte in enumerate(content) if chr(byte).isdigit()] or [0]
            content[rng.choice(digits)] = ord(rng.choice("0123456789-e."))
        case 8:  # a line that is twice there, or in another place
            lines = content.splitlines(keepends=True)
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            content = bytearray(b"".join(lines))
    path.write_bytes(content)
    return path.name
