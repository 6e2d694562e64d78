"""The commands that use a trained run: sample, decode, nearest, outliers, map, pipe and traverse."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands.arguments import Beta, RunFolder, keep_input, open_run
from equipoise.errors import InputError, choose
from equipoise.files import csv_text, write_bytes, write_text
from equipoise.outcome import Outcome, align

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 100  # rows of images in a picture
MOST_OUTLIERS = 500  # images in a picture of them: ten in a row, with their reconstructions
Latents = Annotated[list[int] | None, typer.Option("--latent", help="The number of a latent; may be repeated.")]
Pictures = Annotated[
    Path | None,
    typer.Option(
        help="A .png with all pictures, an .npz, an .npy, or a folder of pictures; default: a .png here. For vectors: "
        "a .csv (the default), .parquet, .npz or .npy."
    ),
]
List = Annotated[Path | None, typer.Option(help="A .csv of the list, or a .png of the images.")]


def sample(
    folder: RunFolder,
    n: Annotated[int, typer.Option(help="Number of pictures.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    out: Pictures = None,
    beta: Beta = None,
) -> Outcome:
    """Decode samples of the prior.

    A folder gets a .png for each sample and factors.csv with the codes; an .npz gets the images and their codes.

    Examples:

      equipoise sample runs/first

      equipoise sample runs/first --n 1000 --out samples
    """
    from equipoise.data import export

    run = open_run(folder).at(beta)
    target = out or Path("samples.png" if run.scaling is None else "samples.csv")
    export.check_path(target, run.scaling is not None, n)
    images = run.sample(n, seed)
    export.to_path(images, target)
    return Outcome({"wrote": str(target), "images": n}, f"{n:,} samples of the prior\nwrote {target}")


def decode(
    folder: RunFolder,
    codes: Annotated[Path, typer.Argument(help="Codes in an .npz, .npy, .csv or .parquet, as encode writes them.")],
    out: Pictures = None,
    beta: Beta = None,
) -> Outcome:
    """Decode a file of codes to images.

    A table has the columns z0, z1 and so on, and may have others. The codes can first be changed in any program.

    Examples:

      equipoise decode runs/first codes.csv

      equipoise decode runs/first codes.npz --out pictures
    """
    from equipoise.data import export
    from equipoise.scoring import read_codes

    run = open_run(folder).at(beta)
    target = out or Path(f"{codes.stem}.png" if run.scaling is None else f"{codes.stem}.decoded.csv")
    keep_input(target, codes)
    rows = read_codes(run, codes)
    count = len(rows)
    export.check_path(target, run.scaling is not None, count)
    export.to_path(run.decode(rows), target)
    text = f"decoded {count:,} code{'' if count == 1 else 's'}\nwrote {target}"
    return Outcome({"wrote": str(target), "images": count}, text)


def nearest(
    folder: RunFolder,
    images: Annotated[str, typer.Argument(metavar="IMAGE", help="An image, or any source that encode reads.")],
    n: Annotated[int | None, typer.Option(help="Neighbours of each image; default: 10, or all if fewer.")] = None,
    latent: Latents = None,
    out: List = None,
    beta: Beta = None,
) -> Outcome:
    """List the images of a run whose codes are nearest to that of an image.

    Distances are Euclidean, between posterior means; --latent compares only some latents. The images that are searched
    are those that the run encoded, evaluate.n of them.

    Examples:

      equipoise nearest runs/first photo.png

      equipoise nearest runs/first photo.png --n 5 --latent 2 --out nearest.png
    """
    from equipoise.report.figures import images as figures

    _check_list(out, images)
    run = open_run(folder).at(beta)
    queries = run.prepare(images)
    if out is not None and out.suffix.lower() == ".png" and len(queries) > MOST:
        raise InputError(f"{out} would have {len(queries):,} rows; give up to {MOST} images, or write a .csv")
    result = run.nearest(queries, n, latent)
    files = _files(run.codes["index"], run.codes.get("files"))
    names = queries.files or list(map(str, range(len(queries))))
    rows = [
        {"image": names[q], "file": files.get(index, ""), "index": index, "rank": rank, "distance": distance}
        for q, (indices, distances) in enumerate(zip(result.index.tolist(), result.distance.tolist(), strict=True))
        for rank, (index, distance) in enumerate(zip(indices, distances, strict=True), 1)
    ]

    def draw() -> "Figure":
        pictures = run.images.pixels(result.index.ravel()).reshape(*result.index.shape, *run.images.shape)
        return figures.neighbours(queries.pixels(range(len(queries))), pictures, result.distance, run.scaling)

    return _listing(rows, out, draw)


def outliers(
    folder: RunFolder,
    images: Annotated[str | None, typer.Argument(help="Images to rank; default: those that the run encoded.")] = None,
    n: Annotated[int | None, typer.Option(help="Number of outliers; default: 10, or all if fewer.")] = None,
    by: Annotated[str, typer.Option(help="elbo, error, kl or code.")] = "elbo",
    out: List = None,
    beta: Beta = None,
) -> Outcome:
    """List the images that are most unlike the others, the most unlike first.

    By elbo: the evidence lower bound in nats, with its sign changed; error: the squared error of the reconstruction;
    kl: the KL of posterior and prior in nats; code: the mean distance to the 10 nearest codes of the run. The column
    share is the fraction of the run's encoded images with a smaller value.

    Examples:

      equipoise outliers runs/first

      equipoise outliers runs/first path/to/images --by code --out outliers.csv
    """
    from equipoise.report.figures import images as figures

    _check_list(out, images)
    if n is not None and n > MOST_OUTLIERS and out is not None and out.suffix.lower() == ".png":
        raise InputError(f"--n is {n:,}; a picture has up to {MOST_OUTLIERS} images; write a .csv")
    run = open_run(folder).at(beta)
    source = None if images is None else run.prepare(images)
    result = run.outliers(n, by, source)
    numbers, names = (
        (run.codes["index"], run.codes.get("files")) if source is None else (range(len(source)), source.files)
    )
    files = _files(numbers, names)
    column = "negative_elbo" if by == "elbo" else by
    rows = [
        {"file": files.get(index, ""), "index": index, column: value, "share": share}
        for index, value, share in zip(result.index.tolist(), result.value.tolist(), result.share.tolist(), strict=True)
    ]

    def draw() -> "Figure":
        whole = run.images if source is None else source
        return figures.reconstructions(run.model, whole.pixels(result.index))

    return _listing(rows, out, draw)


def map_(
    folder: RunFolder,
    by: Annotated[str, typer.Option(help="pca or umap.")] = "pca",
    latent: Latents = None,
    out: Annotated[Path | None, typer.Option(help="A .png, or a .csv of the places; default: map.png here.")] = None,
    beta: Beta = None,
) -> Outcome:
    """Draw a map of the codes: images lie near each other if their codes are similar.

    --by pca draws the plane in which the codes of the active latents vary most. --by umap draws a plane that keeps
    neighbours together, and needs `pip install equipoise[umap]`. With two --latent, these latents are the axes. Points
    are coloured by the factors or, if none are known, by clusters of the codes.

    Examples:

      equipoise map runs/first

      equipoise map runs/first --latent 3 --latent 5 --out map.csv
    """
    from equipoise.report import code_map
    from equipoise.report.findings import analyse
    from equipoise.report.sections.code_map import picture

    target = out or Path("map.png")
    _check_list(target, None)
    kind: Any = choose("kind of map", by, code_map.KINDS)
    run = open_run(folder).at(beta)
    plane = code_map.arrange(run.codes["mean"], kind, latent)
    index = run.codes["index"][: len(plane.points)].tolist()
    files = _files(run.codes["index"], run.codes.get("files"))
    rows = [
        {"file": files.get(number, ""), "index": number, "x": x, "y": y}
        for number, (x, y) in zip(index, plane.points.tolist(), strict=True)
    ]
    listing = _listing(rows, target, lambda: picture(run, analyse(run), plane).figure)
    values = {"axes": plane.axes, **listing.values}
    return Outcome(values, f"{len(rows):,} points. {plane.summary}\nwrote {target}")


def pipe(
    folder: RunFolder,
    latents: Annotated[str, typer.Option(help="shuffled or uniform.")] = "shuffled",
    seen: Annotated[int, typer.Option(help="Pictures on which the discriminator is trained.")] = 50_000,
    seed: Annotated[int, typer.Option(help="Seed of latents and discriminator.")] = 0,
    beta: Beta = None,
) -> Outcome:
    """Compute PIPE, a score for the independence of the latents, without labels.

    A discriminator learns to distinguish reconstructions from pictures of independently drawn latents. PIPE is twice
    its error rate in a test: 1 if they cannot be distinguished. Latents without information also have a PIPE of 1, so
    compare it with the reconstruction error.

    Examples:

      equipoise pipe runs/first

      equipoise pipe runs/first --latents uniform --seed 1
    """

    chosen: Any = choose("choice of latents", latents, ("shuffled", "uniform"))
    score = open_run(folder).at(beta).pipe(chosen, seen, seed)
    text = f"PIPE {score.value:.3f} [{score.low:.3f}, {score.high:.3f}]\n"
    text += f"the discriminator classifies {score.extra['accuracy']:.1%} of the pictures correctly; chance is 50 %"
    return Outcome(score.to_dict(), text)


def traverse(
    folder: RunFolder,
    image: Annotated[str | None, typer.Argument(help="One image; default: a typical one of the run.")] = None,
    latent: Latents = None,
    limits: Annotated[
        str | None,
        typer.Option("--range", help="LOW:HIGH, such as -2:2; default: 5th to 95th percentile of each latent."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Pictures of each latent; default: 11 in a .png, 15 in a .gif or .mp4.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A .png, .gif or .mp4; default: traversals.png here.")] = None,
    beta: Beta = None,
) -> Outcome:
    """Draw traversals: how one image changes with each latent.

    A .png has a row for each latent, by default for the active ones, sorted by information. A .gif or .mp4 varies each
    latent from low to high and back; an .mp4 needs `pip install equipoise[video]`.

    Examples:

      equipoise traverse runs/first

      equipoise traverse runs/first photo.png --latent 2 --latent 5 --range -2:2 --out traversals.gif
    """
    from equipoise.report.figures import saving

    target = out or Path("traversals.png")
    kind = target.suffix.lower()
    if kind not in (".png", ".gif", ".mp4"):
        raise InputError(f"{target}: traversals are written to a .png, .gif or .mp4; give one of these")
    keep_input(target, image)
    ends = None if limits is None else _range(limits)
    run = open_run(folder).at(beta)
    if kind == ".png":
        content = saving.png(run.traversals(image, latent, ends, 11 if steps is None else steps))
    else:
        content = run.animation(image, latent, ends, 15 if steps is None else steps, "gif" if kind == ".gif" else "mp4")
    write_bytes(target, content)
    return Outcome({"wrote": str(target), "bytes": len(content)}, f"wrote {target}")


def _range(text: str) -> tuple[float, float]:
    """The ends in LOW:HIGH."""
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise InputError(f"--range is {text}; give two numbers, the smaller first, such as -2:2") from None
    return low, high


def _check_list(out: Path | None, images: str | None) -> None:
    if out is None:
        return
    if out.suffix.lower() not in (".csv", ".png"):
        raise InputError(f"{out}: a list is written to a .csv and its images to a .png; give one of these")
    keep_input(out, images)


def _files(numbers: Iterable[Any], files: Iterable[Any] | None) -> dict[int, str]:
    """The names of files by the number of the image; empty if the images are not files."""
    return {} if files is None else dict(zip(map(int, numbers), map(str, files), strict=True))


def _listing(rows: list[dict[str, Any]], out: Path | None, draw: Callable[[], "Figure"]) -> Outcome:
    """The rows as a table, also in a .csv, or their images in a .png."""
    from equipoise.report.figures import saving

    if not any(row["file"] for row in rows):
        rows = [{key: value for key, value in row.items() if key != "file"} for row in rows]
    header = list(rows[0])
    if out is not None and out.suffix.lower() == ".csv":
        write_text(out, csv_text(header, (row.values() for row in rows)))
    elif out is not None:
        write_bytes(out, saving.png(draw()))
    wrote = [] if out is None else [f"wrote {out}"]
    cells = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    words = sum(isinstance(value, str) for value in rows[0].values())  # columns of text come first
    values = {"rows": rows, "wrote": None if out is None else str(out)}
    return Outcome(values, "\n".join([*align([header, *cells], slice(words, None)), *wrote]))
