"""Sets of images in folders: whole or absent, resumed where they broke off, the same bytes either way."""

import json
import multiprocessing
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data import Images, store
from equipoise.errors import InputError, RunError

SHAPE = (3, 8, 8)
PIXELS = np.random.default_rng(0).integers(0, 256, (60, *SHAPE), np.uint8)
TABLE = np.stack(np.unravel_index(np.arange(60), (6, 10)), axis=1)


def blocks(first: int) -> Iterator[np.ndarray]:
    """Seven images at a time, the last block shorter."""
    for start in range(first, 60, 7):
        yield PIXELS[start : start + 7]


def breaking(after: int, error: BaseException) -> Callable[[int], Iterator[np.ndarray]]:
    """The blocks, until `after` images or more have been given."""

    def give(first: int) -> Iterator[np.ndarray]:
        given = 0
        for block in blocks(first):
            if given >= after:
                raise error
            yield block
            given += len(block)

    return give


def write(folder: Path, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "images": 60,
        "shape": SHAPE,
        "blocks": blocks,
        "source": "a test",
        "name": "little",
        "factors": "grid",
        "factor_names": ("a", "b"),
        "factor_sizes": (6, 10),
        "licence": "CC0",
        "citation": "nobody",
    }
    store.write(folder, **settings | changes)


@pytest.fixture
def marked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block counts as kept as soon as it is written."""
    monkeypatch.setattr(store, "_MARK", 1)


FACTORS: dict[str, dict[str, Any]] = {
    "a grid": {"factors": "grid"},
    "a table": {"factors": TABLE[::-1]},
    "a table, some of it continuous": {"factors": TABLE + np.array([0, 0.5]), "factor_sizes": (6, 0)},
    "no factors": {"factors": None, "factor_names": None, "factor_sizes": ()},
}


@pytest.mark.parametrize("kind", FACTORS)
def test_what_is_read_is_what_was_written(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "set", **FACTORS[kind])
    found = store.read(tmp_path / "set")
    assert found is not None
    settings = {"factors": "grid", "factor_names": ("a", "b"), "factor_sizes": (6, 10)} | FACTORS[kind]
    expected = Images(PIXELS, name="little", source="a test", licence="CC0", citation="nobody", **settings)
    assert found.describe() == expected.describe()
    assert np.array_equal(found.pixels(np.arange(60)), PIXELS)
    assert np.array_equal(found.factors, expected.factors)


@pytest.mark.parametrize("kind", FACTORS)
def test_the_digest_kept_is_that_of_the_same_images_from_memory(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "set", **FACTORS[kind])
    settings = {"factors": "grid", "factor_names": ("a", "b"), "factor_sizes": (6, 10)} | FACTORS[kind]
    from_memory = Images(PIXELS, name="another name", **settings).digest()
    trusted, counted = store.read(tmp_path / "set"), store.read(tmp_path / "set", is_trusted=False)
    assert trusted is not None
    assert counted is not None
    assert trusted.digest() == counted.digest() == from_memory


def test_the_pixels_are_a_file_that_numpy_maps(tmp_path: Path) -> None:
    write(tmp_path / "set")
    mapped = np.load(tmp_path / "set" / "images.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, PIXELS)


def test_what_else_is_to_be_remembered_is_in_about_json(tmp_path: Path) -> None:
    write(tmp_path / "set")
    about = store.describe(tmp_path / "set")
    assert about is not None
    assert about["images"] == 60
    store.add_to_about(tmp_path / "set", {"sha256": "abc"})
    assert store.describe(tmp_path / "set") == about | {"sha256": "abc"}
    store.add_to_about(tmp_path / "set", {"more": [1]})
    assert store.describe(tmp_path / "set") == about | {"sha256": "abc", "more": [1]}


def test_a_folder_without_a_finished_set_holds_none(tmp_path: Path) -> None:
    assert store.read(tmp_path / "nowhere") is None
    (tmp_path / "file").write_text("")
    assert store.read(tmp_path / "file") is None
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", blocks=breaking(20, KeyboardInterrupt()))
    assert store.read(tmp_path / "set") is None
    assert not (tmp_path / "set" / "images.npy").exists()


@pytest.mark.usefixtures("marked_at_once")
@pytest.mark.parametrize("after", [7, 35, 56])
def test_a_conversion_that_broke_off_goes_on_at_its_last_whole_block(after: int, tmp_path: Path) -> None:
    write(tmp_path / "whole")
    with pytest.raises(InputError, match="broke"):
        write(tmp_path / "set", blocks=breaking(after, InputError("broke")))
    with open(tmp_path / "set" / "images.npy.part", "ab") as file:
        file.write(b"torn block")
    asked = []
    write(tmp_path / "set", blocks=lambda first: asked.append(first) or blocks(first))
    assert asked == [after]
    for name in ("images.npy", "about.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(file.name for file in (tmp_path / "set").iterdir()) == [".lock", "about.json", "images.npy"]


@pytest.mark.usefixtures("marked_at_once")
@pytest.mark.parametrize(
    "change", [{"source": "another"}, {"images": 53, "factors": None, "factor_sizes": (), "factor_names": None}]
)
def test_a_conversion_of_something_else_begins_anew(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write(tmp_path / "set", blocks=breaking(14, InputError("broke")))
    asked = []

    def give(first: int) -> Iterator[np.ndarray]:
        asked.append(first)
        yield PIXELS[first : change.get("images", 60)]

    write(tmp_path / "set", blocks=give, **change)
    assert asked == [0]


@pytest.mark.usefixtures("marked_at_once")
def test_a_part_that_is_shorter_than_its_mark_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write(tmp_path / "set", blocks=breaking(14, InputError("broke")))
    part = tmp_path / "set" / "images.npy.part"
    part.write_bytes(part.read_bytes()[:-1])
    write(tmp_path / "set")
    found = store.read(tmp_path / "set")
    assert found is not None
    assert np.array_equal(found.pixels(np.arange(60)), PIXELS)


def _convert_and_die(folder: Path, after: int) -> None:
    def give(first: int) -> Iterator[np.ndarray]:
        for start in range(first, 60, 7):
            if start >= after:
                signal.raise_signal(signal.SIGKILL)
            yield PIXELS[start : start + 7]

    store._MARK = 1
    write(folder, blocks=give)


def test_unfinished_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in (".part.json.0123abcd.part", ".about.json.89abcdef.part"):
        (tmp_path / "set" / name).write_text("{", encoding="utf-8")
    write(tmp_path / "set")
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [".lock", "about.json", "images.npy"]
    (tmp_path / "set" / ".part.json.0123abcd.part").touch()
    write(tmp_path / "set")  # a whole set, which is not written again
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [".lock", "about.json", "images.npy"]


def test_a_conversion_that_was_killed_is_completed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_convert_and_die, args=(tmp_path / "set", 28))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert store.read(tmp_path / "set") is None
    asked = []
    write(tmp_path / "set", blocks=lambda first: asked.append(first) or blocks(first))
    assert asked == [28]
    found = store.read(tmp_path / "set", is_trusted=False)
    assert found is not None
    assert found.digest() == json.loads((tmp_path / "set" / "about.json").read_text())["digest"]


def test_what_is_there_is_not_converted_again(tmp_path: Path) -> None:
    write(tmp_path / "set")
    write(tmp_path / "set", blocks=breaking(0, AssertionError("asked for blocks")))


def test_an_older_set_stays_readable_until_the_new_one_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "set")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", source="newer", blocks=breaking(20, KeyboardInterrupt()))
    found = store.read(tmp_path / "set")
    assert found is not None
    assert found.source == "a test"
    write(tmp_path / "set", source="newer")
    found = store.read(tmp_path / "set")
    assert found is not None
    assert found.source == "newer"


def _convert(folder: Path, given: Any) -> None:
    def give(first: int) -> Iterator[np.ndarray]:
        with given.get_lock():
            given.value += 1
        yield from blocks(first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.warnings, "warn", lambda *_, **__: None)  # that it waits
        write(folder, blocks=give)


def test_processes_that_want_the_same_set_convert_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    given = context.Value("i", 0)
    processes = [context.Process(target=_convert, args=(tmp_path / "set", given)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert given.value == 1
    assert store.read(tmp_path / "set") is not None


@pytest.mark.usefixtures("marked_at_once")
def test_a_disk_that_fills_up_is_said_and_what_was_written_is_used_again(tmp_path: Path) -> None:
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 + 30 * 192, hard))  # room for 30 images
    try:
        with pytest.raises(RunError, match="disk was full before little was complete; make room"):
            write(tmp_path / "set")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert store.read(tmp_path / "set") is None
    asked = []
    write(tmp_path / "set", blocks=lambda first: asked.append(first) or blocks(first))
    assert asked == [28]
    assert store.read(tmp_path / "set") is not None


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"little needs 192,000,000\.0 GB and .* has .* GB left; make room"):
        write(tmp_path / "set", images=10**15, factors=None, factor_names=None, factor_sizes=())
    assert [file.name for file in (tmp_path / "set").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"factor_sizes": (6, 9)}, "do not fill the grid"),
        ({"factors": TABLE[:50]}, "factors of 60 images"),
        ({"factor_names": ("a", "a")}, "different names"),
        ({"images": 0, "factors": None, "factor_names": None, "factor_sizes": ()}, "has no images"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_written(
    change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=expected):
        write(tmp_path / "set", **change)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (PIXELS.astype(np.float32), "a block is float32"),
        (PIXELS[:, :1], r"expected uint8 \[n, 3, 8, 8\]"),
        (np.concatenate([PIXELS, PIXELS]), "n from 1 to 60"),
        (PIXELS[:0], "n from 1 to 60"),
        (PIXELS[:59], "gave 59 images, expected 60"),
    ],
)
def test_blocks_that_do_not_fit_are_refused_and_nothing_looks_finished(
    block: np.ndarray, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=expected):
        write(tmp_path / "set", blocks=lambda _: iter([block]))
    assert store.read(tmp_path / "set") is None


def _cut(folder: Path) -> None:
    (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:-1])


def _lengthen(folder: Path) -> None:
    (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes() + b"0")


def _other_images(folder: Path) -> None:
    np.save(folder / "images.npy", PIXELS[:30])


def _other_type(folder: Path) -> None:
    np.save(folder / "images.npy", PIXELS.astype(np.int16))


def _other_factors(folder: Path) -> None:
    np.save(folder / "factors.npy", TABLE[:30])


def _pickled_factors(folder: Path) -> None:
    np.save(folder / "factors.npy", np.array([print], dtype=object), allow_pickle=True)


def _no_images(folder: Path) -> None:
    (folder / "images.npy").unlink()


def _no_json(folder: Path) -> None:
    (folder / "about.json").write_text("{")


def _list(folder: Path) -> None:
    (folder / "about.json").write_text("[]")


def _newer(folder: Path) -> None:
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"format": 2}))


def _lacking(folder: Path) -> None:
    about = json.loads((folder / "about.json").read_text())
    del about["shape"]
    (folder / "about.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _lengthen,
        _other_images,
        _other_type,
        _other_factors,
        _pickled_factors,
        _no_images,
        _no_json,
        _list,
        _newer,
        _lacking,
    ],
)
def test_a_damaged_folder_is_named_and_converted_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "set", factors=TABLE)
    damage(tmp_path / "set")
    with pytest.raises(InputError, match=r"set is damaged \(.*delete this folder"):
        store.read(tmp_path / "set")
    write(tmp_path / "set", factors=TABLE)
    found = store.read(tmp_path / "set", is_trusted=False)
    assert found is not None
    assert np.array_equal(found.pixels(np.arange(60)), PIXELS)


def test_without_a_home_folder_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: object = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("EQUIPOISE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="set EQUIPOISE_CACHE"):
        store.set_folder("little")
