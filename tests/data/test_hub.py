"""Data sets of the hub: which files are read, pictures and factors of files that the library `datasets` 5.2.0 wrote."""

import fnmatch
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import equipoise as eq
from equipoise.data.readers import parquet
from equipoise.errors import InputError, RunError

FILES = Path(__file__).parent / "files" / "hub"


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub with the data set of `FILES` as mine/shapes; a list of the files that were downloaded."""
    asked: list[str] = []

    def list_repo_files(repository: str, repo_type: str, revision: str | None = None) -> list[str]:
        assert repo_type == "dataset"
        if repository == "mine/shapes":
            return ["README.md", *(str(file.relative_to(FILES)) for file in sorted(FILES.rglob("*.parquet")))]
        if repository == "mine/pictures":  # of another kind, and converted
            return ["a.zip"] if revision is None else ["default/train/0000.parquet", "default/train/0001.parquet"]
        raise ConnectionError(f"404 for {repository}\nmore lines")

    def snapshot_download(
        repository: str,
        repo_type: str,
        revision: str | None,
        allow_patterns: list[str] = [],  # noqa: B006
        local_files_only: bool = False,
    ) -> str:
        if (repository, repo_type, revision) != ("mine/shapes", "dataset", None):
            raise FileNotFoundError(f"{repository} is not in the cache")
        assert local_files_only == (not allow_patterns)
        files = [str(file.relative_to(FILES)) for file in FILES.rglob("*") if file.is_file()]
        asked.extend(sorted(file for file in files for each in allow_patterns if fnmatch.fnmatch(file, each)))
        return str(FILES)

    api = SimpleNamespace(list_repo_files=list_repo_files)
    package = SimpleNamespace(HfApi=lambda: api, snapshot_download=snapshot_download)
    monkeypatch.setattr("equipoise.hub.package", lambda: package)
    return asked


def test_files_are_grouped_by_the_part_that_they_belong_to() -> None:
    files = [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ]
    assert {name: len(of) for name, of in parquet._parts(files).items()} == {"data/train": 2, "data/test": 1}
    converted = ["small/train/0000.parquet", "small/train/0001.parquet", "large/train/0000.parquet"]
    assert {name: len(of) for name, of in parquet._parts(converted).items()} == {"small/train": 2, "large/train": 1}
    assert parquet._parts(["README.md"]) == {}


@pytest.mark.parametrize(
    ("part", "expected"),
    [("", "data/train"), ("train", "data/train"), ("data/test", "data/test"), ("test", "data/test")],
)
def test_the_part_is_the_one_that_is_named_or_train(part: str, expected: str) -> None:
    assert parquet._choose("a/b", {"data/test": [], "data/train": []}, part) == expected


@pytest.mark.parametrize(
    ("parts", "part", "message"),
    [
        (
            ["small/train", "large/train"],
            "",
            "has the parts small/train, large/train; name one of them, such as hf:a",
        ),
        (["data/train"], "test", "has the parts data/train; name one of them"),
        ([], "", "hf:a/b has no Parquet files; download it"),
    ],
)
def test_a_part_that_is_not_clear_is_refused(parts: list[str], part: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parquet._choose("a/b", {name: [] for name in parts}, part)


@pytest.mark.extra
def test_pictures_and_factors_are_those_of_the_data_set(downloads: list[str]) -> None:
    with pytest.warns(UserWarning, match=r"not used as factors: note \(a text for each image\)"):
        images = eq.load_data("hf:mine/shapes")
    assert downloads == ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]
    assert (len(images), images.shape) == (12, (1, 16, 16))
    assert images.factor_names == ("shape", "size", "angle")
    assert images.factor_sizes == (3, 4, 0)
    assert images.factors is not None
    names = ["ellipse", "heart", "square"]  # in the order of their names
    shapes = [names.index(("square", "ellipse", "heart")[i % 3]) for i in range(12)]
    np.testing.assert_array_equal(images.factors[:, 0], shapes)
    np.testing.assert_array_equal(images.factors[:, 1], [i % 4 for i in range(12)])
    np.testing.assert_allclose(images.factors[:, 2], [i / 11 + 0.01 * i * i for i in range(12)])
    pixels = images.pixels(np.arange(12))
    for i in range(12):
        side = 2 + i % 3
        assert pixels[i, 0].sum() == side * side * 40 * (1 + i % 6)
        assert pixels[i, 0, 4, 3] == 40 * (1 + i % 6)


@pytest.mark.extra
def test_another_part_and_other_factors_are_chosen(downloads: list[str]) -> None:
    images = eq.load_data("hf:mine/shapes/test", factors=["size"], size=8)
    assert downloads == ["data/test-00000-of-00001.parquet"]
    assert (len(images), images.shape, images.factor_names) == (3, (1, 8, 8), ("size",))


@pytest.mark.extra
def test_a_parquet_file_with_pictures_is_read_as_pictures_and_not_as_vectors() -> None:
    images = eq.load_data(FILES / "data" / "test-00000-of-00001.parquet", factors=["size"])
    assert (len(images), images.shape, images.factor_names) == (3, (1, 16, 16), ("size",))


@pytest.mark.extra
@pytest.mark.usefixtures("downloads")
def test_reading_goes_on_from_any_row() -> None:
    source = parquet.read_hub("mine/shapes")
    for first in (0, 5, 7, 9):
        rows = [picture for some in source.blocks(first, 4) for picture in some]
        levels = [int(picture().values.max()) for picture in rows]
        assert levels == [40 * (1 + i % 6) for i in range(first, 12)]


@pytest.mark.extra
@pytest.mark.usefixtures("downloads")
@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("hf:mine", {}, "hf:mine names no data set; expected hf:owner/name"),
        ("hf:mine/shapes/nothing", {}, "has the parts data/test, data/train; name one of them"),
        ("hf:mine/shapes", {"key": "shape"}, "has no column 'shape' of pictures, which data.key names, but image"),
        ("hf:mine/shapes", {"factors": ["colour"]}, "has no column 'colour'"),
    ],
)
def test_what_is_not_there_is_one_sentence(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        eq.load_data(name, **settings)


@pytest.mark.usefixtures("downloads")
def test_a_data_set_that_was_downloaded_is_read_without_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    package = parquet.hub.package()

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(package.HfApi(), "list_repo_files", fail)
    assert parquet._listing(package, "mine/shapes") == (
        None,
        {
            "data/train": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
            "data/test": ["data/test-00000-of-00001.parquet"],
        },
    )
    with pytest.raises(ConnectionError, match="no network"):
        parquet._listing(package, "mine/pictures")


@pytest.mark.usefixtures("downloads")
def test_a_data_set_of_another_kind_is_read_as_the_hub_converts_it() -> None:
    files = ["default/train/0000.parquet", "default/train/0001.parquet"]
    assert parquet._listing(parquet.hub.package(), "mine/pictures") == (parquet.CONVERSION, {"default/train": files})


@pytest.mark.usefixtures("downloads")
def test_a_hub_that_does_not_answer_is_one_sentence() -> None:
    with pytest.raises(RunError, match=r"hf:no/where could not be downloaded: 404 for no/where$"):
        eq.load_data("hf:no/where")


@pytest.mark.extra
@pytest.mark.usefixtures("downloads")
def test_a_run_trains_on_it_and_reads_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"train.batch": 4, "train.threads": 1, "evaluate.which": ["sse"], "data.factors": ["shape"]}
    eq.train("hf:mine/shapes", "vae", out="run", steps=2, settings=settings, progress=False)
    assert eq.open_run("run").images.factor_names == ("shape",)


def write(path: Path, pictures: Any, schema: bytes = b"{}", **columns: Any) -> Path:
    """A Parquet file with pictures, other columns, and what the library `datasets` notes in it."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    table = pyarrow.table({"image": pictures, **columns}).replace_schema_metadata({"huggingface": schema})
    files.write_table(table, path)
    return path


def png(value: int) -> bytes:
    file = BytesIO()
    Image.new("L", (8, 8), value).save(file, "png")
    return file.getvalue()


PNGS = [png(value) for value in (0, 80, 160, 240)]
LABELS = b'{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}'


@pytest.mark.parametrize("label", [[0, 1, None, 1], [0, 1, -1, 1], [-1, -1, -1, -1]])
def test_labels_that_are_missing_do_not_keep_pictures_from_being_read(label: list[int | None], tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", PNGS, LABELS, label=label, kind=["a", "b", "a", "b"])
    with pytest.warns(UserWarning, match="label: not used as factors, since values are missing"):
        images = eq.load_data(path)
    assert images.factor_names == ("kind",)
    with pytest.raises(InputError, match="empty cell in the column label"):
        eq.load_data(path, factors=["label"])


def test_pictures_without_a_column_of_a_factor_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", PNGS, caption=[f"a cat, {i} years" for i in range(4)])
    with pytest.warns(UserWarning, match=r"has no factor columns \(caption \(a text for each image\)\)"):
        assert eq.load_data(path).factors is None


def test_categories_and_decimals_are_factors(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    kinds = pyarrow.array(["b", "a", "b", "a"]).dictionary_encode()
    sizes = pyarrow.array([1, 2, 3, 3], pyarrow.decimal128(5, 2))
    images = eq.load_data(write(tmp_path / "a.parquet", PNGS, kind=kinds, size=sizes))
    assert images.factor_names == ("kind", "size")
    assert images.factors is not None
    assert images.factors.tolist() == [[1, 1], [0, 2], [1, 3], [0, 3]]


@pytest.mark.parametrize("schema", [b"none", b"[1]", b'{"info": null}', b'{"info": {"features": null}}'])
def test_notes_of_other_programs_in_the_file_are_ignored(schema: bytes, tmp_path: Path) -> None:
    images = eq.load_data(write(tmp_path / "a.parquet", PNGS, schema, label=[0, 1, 0, 1]))
    assert images.factors is not None
    assert images.factors.tolist() == [[0], [1], [0], [1]]


def test_files_that_do_not_fit_or_are_damaged_are_one_sentence(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "b.parquet", [bytes(range(256)) * 40] * 4).read_bytes())
    content[20:600] = b"\xff" * 580
    (tmp_path / "b.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.parquet cannot be read as Parquet"):
        eq.load_data(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"a\.parquet has no rows; give a file with pictures"):
        eq.load_data(write(tmp_path / "a.parquet", pytest.importorskip("pyarrow").array([], "binary")))
    first = write(tmp_path / "a.parquet", PNGS)
    pytest.importorskip("pandas").DataFrame({"img": PNGS}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(InputError, match=r"hf:a/b: c\.parquet has no column image, and a\.parquet has"):
        parquet.read([first, tmp_path / "c.parquet"], "hf:a/b")
