"""Batches of pairs: from factors, from neighbours, from a table of pairs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from equipoise.data import Images, load_data
from equipoise.data.batches import Batches, batch_index, fitting_size
from equipoise.data.pairs import draw_pairs, read_pairs
from equipoise.errors import InputError

SIZES = (3, 4, 5)


def grid(files: list[str] | None = None) -> Images:
    """60 images, each of the color of its number, with three factors."""
    pixels = np.arange(60, dtype=np.uint8).repeat(4).reshape(60, 1, 2, 2)
    return Images(pixels, name="grid", factors="grid", factor_sizes=SIZES, factor_names=["a", "b", "c"], files=files)


def differences(images: Images, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """In how many factors the images of each pair differ."""
    assert images.factors is not None
    first, second = images.factors[index].reshape(-1, 2, len(images.factor_sizes)).transpose(1, 0, 2)
    return np.asarray((first != second).sum(1))


@pytest.mark.parametrize("changed", [1, 2])
@pytest.mark.parametrize("part", [slice(None), slice(0, 60, 2), [*range(31), 59, 59]])
def test_pairs_from_factors_differ_in_exactly_the_number_that_changes(changed: int, part: slice | list[int]) -> None:
    images = grid().subset(np.arange(60)[part])
    draw = draw_pairs(images, "factors", changed)
    pairs = np.concatenate([draw(8, 0, step, 0) for step in range(50)])
    assert (differences(images, pairs) == changed).all()


def test_every_factor_and_value_changes_equally_often() -> None:
    images = grid()
    draw = draw_pairs(images, "factors", 1)
    assert images.factors is not None
    pairs = np.concatenate([draw(60, 1, step, 0) for step in range(100)])
    first, second = images.factors[pairs].reshape(-1, 2, 3).transpose(1, 0, 2)
    changes = (first != second).mean(0)
    assert np.allclose(changes, 1 / 3, atol=0.04)
    shift = (second - first)[:, 2] % 5
    assert np.allclose(np.bincount(shift[shift > 0])[1:] / (shift > 0).sum(), 1 / 4, atol=0.05)


def test_a_random_number_of_factors_leaves_at_least_one_equal() -> None:
    images = grid()
    draw = draw_pairs(images, "factors", None)
    counts = differences(images, np.concatenate([draw(60, 1, step, 0) for step in range(50)]))
    assert np.allclose(np.bincount(counts)[1:] / len(counts), [1 / 2, 1 / 2], atol=0.05)


def test_pairs_are_a_function_of_seed_and_step() -> None:
    draw, again = (draw_pairs(grid(), "factors", 1) for _ in range(2))
    draw(8, 0, 5, 0)
    assert np.array_equal(draw(8, 3, 7, 0), again(8, 3, 7, 0))
    assert not np.array_equal(draw(8, 3, 7, 0), draw(8, 4, 7, 0))
    assert np.array_equal(draw(8, 3, 7, 0)[::2], batch_index(60, 4, 3, 7))


def test_each_process_reads_its_own_pairs() -> None:
    draw = draw_pairs(grid(), "factors", 1)
    whole = Batches(grid(), 8, 0, draw=draw)(3)
    rows = [Batches(grid(), 8, 0, part, draw)(3) for part in (slice(0, 4), slice(4, 8))]
    assert (np.concatenate(rows) == whole.numpy()).all()


def test_neighbours_are_successive_frames_of_one_folder_or_stack() -> None:
    names = ["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "s.tif[0]", "s.tif[1]", "t.tif[0]"]
    images = grid().subset(np.arange(8))
    images = Images(images.pixels(np.arange(8)), name="frames", files=names)
    draw = draw_pairs(images, "neighbours", 1)
    pairs = np.concatenate([draw(8, 0, step, 0) for step in range(9)]).reshape(-1, 2)
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 1), (1, 2), (3, 4), (5, 6)}
    some = images.subset([0, 2, 5, 6, 7])
    assert {tuple(pair) for pair in draw_pairs(some, "neighbours", 1)(2, 0, 0, 0).reshape(-1, 2).tolist()} == {(2, 3)}


@pytest.mark.parametrize("header", ["first,second\n", ""])
def test_a_table_of_pairs_names_files_in_two_columns(header: str, tmp_path: Path) -> None:
    files = [f"{i:02d}.png" for i in range(60)]
    (tmp_path / "pairs.csv").write_text(header + "03.png,17.png\nframes/05.png,04\n 59.PNG,00.png\n")
    images = grid(files)
    draw = draw_pairs(images, str(tmp_path / "pairs.csv"), 1)
    assert sorted(map(tuple, draw(6, 0, 0, 0).reshape(-1, 2).tolist())) == [(3, 17), (5, 4), (59, 0)]
    part = draw_pairs(images.subset(np.arange(3, 20)), str(tmp_path / "pairs.csv"), 1)
    assert sorted(map(tuple, part(4, 0, 0, 0).reshape(-1, 2).tolist())) == [(0, 14), (2, 1)]


def test_images_that_are_no_files_have_numbers_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("first,second\n3,17\n5,4\n")
    draw = draw_pairs(grid(), str(tmp_path / "pairs.csv"), 1)
    assert sorted(map(tuple, draw(4, 0, 0, 0).reshape(-1, 2).tolist())) == [(3, 17), (5, 4)]


def test_row_numbers_before_the_pairs_are_no_images(tmp_path: Path) -> None:
    for number, header in enumerate((",first,second", "Unnamed: 0,first,second")):
        path = tmp_path / f"{number}.csv"
        path.write_text(f"{header}\n0,3,17\n1,5,4\n")
        assert read_pairs(path, grid()).tolist() == [[3, 17], [5, 4]]


def test_a_column_called_index_may_number_the_rows_or_name_images(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("index,neighbour,distance\n3,17,0.5\n5,4,1\n")
    with pytest.warns(UserWarning, match="the column distance is not read"):
        assert read_pairs(path, grid()).tolist() == [[3, 17], [5, 4]]
    path.write_text("index,first,second\n0,03.png,17.png\n1,05.png,04.png\n")
    assert read_pairs(path, grid([f"{i:02d}.png" for i in range(60)])).tolist() == [[3, 17], [5, 4]]
    path.write_text("id,first,second\n0,3,17\n1,5,4\n")
    with pytest.raises(InputError, match="the column id may number the rows or name the first image of each pair"):
        read_pairs(path, grid())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("0,sixty\n1,2\n", r"1 row \(0 and sixty\) without two images"),
        ("0,0\n1,2\n", r"1 row \(0 and 0\) without two images"),
        ("first,second\n3,60\n", r"1 row \(3 and 60\) without two images; each row has the numbers of two images"),
        ("first,second\n3,3\n1,2\n7,7\n", r"2 rows \(3 and 3, 7 and 7\) without two images"),
        ("first,second\n", "has no rows; each row"),
        ("first\n3\n", r"1 row \(3\) without two images"),
        ("first,second\n50,51\n", "no pair has both images in the training data"),
    ],
)
def test_tables_that_name_no_pair_are_refused(rows: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(rows)
    with pytest.raises(InputError, match=sentence):
        draw_pairs(grid().subset(np.arange(40)), str(tmp_path / "pairs.csv"), 1)


@pytest.mark.parametrize("first", ["missing1.png,missing2.png", "missing.JPG,x", "99,100", "left,100"])
@pytest.mark.parametrize("are_files", [True, False])
def test_a_first_row_with_two_typos_is_no_header(first: str, are_files: bool, tmp_path: Path) -> None:
    images = grid([f"{i:02d}.png" for i in range(60)]) if are_files else grid()
    (tmp_path / "pairs.csv").write_text(f"{first}\n03,17\n05,04\n")
    with pytest.raises(InputError, match=rf"pairs\.csv has 1 row \({first.replace(',', ' and ')}\) without two images"):
        read_pairs(tmp_path / "pairs.csv", images)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("a,b,kind\n3,17,x\n5,4,y\n", "the column kind is not read; the images of a pair are in two columns"),
        ("3,17,8\n5,4,9\n", "the column number 3 is not read"),
        (",a,b,kind,c\n0,3,17,x,y\n1,5,4,x,y\n", "the columns kind, c are not read"),
    ],
)
def test_a_third_column_is_named_and_not_read(rows: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(rows)
    with pytest.warns(UserWarning, match=sentence):
        assert read_pairs(tmp_path / "pairs.csv", grid()).tolist() == [[3, 17], [5, 4]]


def test_images_without_such_pairs_are_refused_in_one_sentence() -> None:
    pixels = np.zeros((6, 1, 2, 2), np.uint8)
    for images, changed, sentence in (
        (Images(pixels, name="bare"), 1, r"pairs=factors needs images with factors, and bare has none"),
        (Images(pixels, name="c", factors=np.linspace(0, 1, 12).reshape(6, 2)), 1, "factor_0 of c is continuous"),
        (
            Images(pixels, name="one", factors=np.arange(6)[:, None]),
            1,
            "one has 1 factors that vary, and a pair has to",
        ),
        (grid(), 3, "grid has 3 factors that vary, .* and differ in 3; lower"),
        (Images(pixels, name="diagonal", factors=np.arange(6)[:, None] * [1, 1]), 1, "diagonal has too few images"),
    ):
        with pytest.raises(InputError, match=sentence):
            draw_pairs(images, "factors", changed)(4, 0, 0, 0)
    with pytest.raises(InputError, match="lone has no two images that follow each other"):
        draw_pairs(Images(pixels, name="lone").subset([0, 2, 4]), "neighbours", 1)
    with pytest.raises(InputError, match=r"there are 5 pairs, and a batch of 64 images needs 32; set .* to 10 or less"):
        draw_pairs(Images(pixels, name="few"), "neighbours", 1)(64, 0, 0, 0)
    with pytest.raises(InputError, match="there is no file nowhere"):
        draw_pairs(grid(), "nowhere.csv", 1)


def test_a_batch_of_pairs_is_even_in_every_process() -> None:
    images = grid()
    assert fitting_size(images, 64, has_second=False, is_paired=True) == 60
    assert fitting_size(images, 64, has_second=False, is_paired=True, processes=8) == 48
    with pytest.raises(InputError, match=r"train\.batch is 15; expected pairs of images, such as 14"):
        fitting_size(images, 15, has_second=False, is_paired=True)
    with pytest.raises(InputError, match="is 6; expected pairs of images in each of 2 processes, such as 4"):
        fitting_size(images, 6, has_second=False, is_paired=True, processes=2)


def test_pairs_of_rendered_images_with_all_their_factors() -> None:
    images = load_data("rooms3d")
    assert (differences(images, draw_pairs(images, "factors", 2)(64, 0, 0, 0)) == 2).all()
