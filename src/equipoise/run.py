"""A trained run on disk: its settings, model, log, codes and scores."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import escape
from matplotlib.figure import Figure

from equipoise import code_space, progress, scoring
from equipoise import codes as coding
from equipoise import config as configuration
from equipoise.assemble import ARRAY, build, load_images
from equipoise.code_space import Neighbours, Outliers
from equipoise.config import Config
from equipoise.data import Images, sheet
from equipoise.data.columns import Columns, Scaling
from equipoise.data.load import load_like
from equipoise.errors import InputError, RunError
from equipoise.files import read_json
from equipoise.metrics import Score
from equipoise.metrics.result import as_html
from equipoise.model import VAE
from equipoise.pipe import Latents, pipe
from equipoise.report import code_map, explorer, traverse
from equipoise.report.figures.animation import traversal_gif, traversal_mp4
from equipoise.report.figures.images import prior_codes, traversal_figure
from equipoise.report.figures.saving import png
from equipoise.report.findings import analyse
from equipoise.report.sections.code_map import picture
from equipoise.run_folder import Meta, images_of, load_checkpoint
from equipoise.training import checkpoint
from equipoise.training.loop import Row

BATCH = 500  # codes that are decoded at a time
FEW = 1000  # images or codes, up to which no bar is displayed


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run on disk. Its files are read when an attribute is first used.

    Args:
        path: The folder of the run.
        config: Its settings.
        array: The images, when the run was trained on an array, which no file holds.
        beta: The beta of model, codes and scores, for a run that `at` returned; default: that of its settings.

    Example:
        >>> import equipoise as eq
        >>> run = eq.open_run("runs/first")
        >>> sorted(run.scores)
        ['mig', 'sse']
        >>> run.codes["mean"].shape, len(run.logs)
        ((64, 10), 2)
    """

    path: Path
    config: Config
    array: Images | None = dataclasses.field(default=None, compare=False)
    beta: float | None = None

    @property
    def results(self) -> Path:
        """The folder of codes, scores and pages: that of the run, or for another beta one in it."""
        return self.path if self.beta is None else self.path / "betas" / f"{self.beta:g}"

    def at(self, beta: float | None) -> "Run":
        """Return this run with another beta, for a run of mr-vae. Nothing is trained.

        Args:
            beta: A beta in the range of the training; None: that of the settings.

        Returns:
            The run. Its model, codes and scores are those of beta; `equipoise evaluate --beta` computes the scores.

        Raises:
            InputError: For a beta outside the range, or a run of another method.
        """
        if beta is None:
            return self
        rates = configuration.outline(self.config).rates
        if rates is None:
            raise InputError(f"{self.path} was trained by {self.config.method.name}, which has no range of beta")
        rates.level(beta)
        return Run(self.path, self.config, self.array, beta)

    @cached_property
    def meta(self) -> Meta:
        """The content of `meta.json`: command, versions, processor, fast parts, data."""
        return read_json(self.path / "meta.json", Meta)

    @cached_property
    def model(self) -> VAE:
        """The trained model, in evaluation mode, on the CPU. Raises `RunError` without a readable checkpoint."""
        model, _ = build(self.config, self.meta["shape"], self.meta["images"])
        model.load_state_dict(load_checkpoint(self.path, self.config)["model"])
        model.scaling = self.scaling
        return model.eval() if self.beta is None else model.eval().at(self.beta)

    @cached_property
    def logs(self) -> list[Row]:
        """The rows of `log.jsonl`, each with means over `train.log_every` steps; losses in nats per image."""
        return checkpoint.read_log(self.path / "log.jsonl")

    @cached_property
    def codes(self) -> coding.Codes:
        """The arrays of `codes.npz`: index [N], factors [N, K], mean, logvar, z [N, D], sse, bce [N]."""
        evaluate = f"equipoise evaluate {self.path}" + ("" if self.beta is None else f" --beta {self.beta:g}")
        if not (self.results / "codes.npz").exists():
            raise RunError(f"{self.results} has no codes; run {evaluate}")
        try:
            codes = coding.load(self.results / "codes.npz")
        except InputError as error:
            raise RunError(f"{error}: run {evaluate}") from None
        if missing := [name for name in ("index", "mean", "logvar") if name not in codes]:
            raise RunError(f"{self.results / 'codes.npz'} has no array {missing[0]}; run {evaluate}")
        return codes

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The scores of `scores.json` by metric; empty when there are none."""
        path = self.results / "scores.json"
        return scoring.read(path)["scores"] if path.exists() else {}

    @cached_property
    def scaling(self) -> Scaling | None:
        """The columns of the vectors that the run was trained on and their scaling; None for images."""
        stored: Any = self.meta["data"].get("scaling")
        return None if stored is None else Scaling.from_dict(stored)

    @cached_property
    def images(self) -> Images:
        """The images that `codes["index"]` counts: the part of the data that `data.scored` selects.

        Raises `InputError` for a reopened run that was trained on an array, and if the data has another number of
        images than in training; warns if they differ otherwise.
        """
        if self.array is None and not self.config.data.name.startswith(ARRAY):
            return images_of(self.path, self.config, self.meta)
        return load_images(self.config, self.array)[-1]

    def __repr__(self) -> str:
        """Folder, method, data and steps."""
        config, beta = self.config, "" if self.beta is None else f", beta {self.beta:g}"
        return f"Run({self.path}: {config.method.name} on {config.data.name}, {config.train.steps:,} steps{beta})"

    def _repr_html_(self) -> str:
        """Method, data, steps and folder, the scores, and the traversals of a run that is encoded, for notebooks."""
        config = self.config
        about = f"{config.method.name} on {config.data.name}, {config.train.steps:,} steps, in {self.path}"
        is_encoded = (self.results / "codes.npz").exists()
        picture = sheet.element(png(self.traversals(), dpi=100)) if is_encoded else "<p>It is not encoded yet.</p>"
        return f"<p>{escape(about)}</p>{as_html(self.scores) if self.scores else ''}{picture}"

    def prepare(self, source: Any) -> Images:
        """Return images prepared as the run's own: their size, crop, channels and range; vectors with its scaling.

        Args:
            source: What `equipoise.load_data` reads, or one array [H, W], [H, W, C] or [C, H, W], or [V] of vectors.
        """
        return load_like(source, self.config.data, self.model.shape, self.meta["data"].get("range"), self.scaling)

    def encode(self, source: Any, beta: float | None = None) -> coding.Codes:
        """Return the codes of images, prepared as the run's own, with their files and factors if these are known.

        Args:
            source: What `equipoise.load_data` reads, or one array [H, W], [H, W, C] or [C, H, W].
            beta: For a run of mr-vae, the beta of the model; default: that of the settings.

        Example:
            >>> import numpy as np, equipoise as eq
            >>> eq.open_run("runs/first").encode(np.zeros((1, 16, 16), np.uint8))["mean"].shape
            (1, 10)
        """
        images = self.prepare(source)
        with progress.bar("encoding", len(images), "images", few=FEW) as advance:
            return coding.encode(scoring.on_device(self).at(beta), images, np.arange(len(images)), advance=advance)

    def decode(self, codes: Any) -> Images:
        """Return the pictures of codes, with the codes as their factors.

        Args:
            codes: Codes [N, D], or the path of a file of them: an .npy, an .npz with `mean` or `codes`, or a .csv or
                .parquet with the columns z0, z1 and so on.

        Returns:
            N images, E[x|z] in 0..255; `run.model.decode` returns floats. Vectors are scaled as the run's own, and
            `images.vectors()` returns them in the units of the data.

        Raises:
            InputError: For codes of another number of latents, or values that are not finite.

        Example:
            >>> import equipoise as eq
            >>> run = eq.open_run("runs/first")
            >>> run.decode(run.codes["mean"][:3])
            Images(first: 3 of (1, 16, 16), factors: z0 0, z1 0, z2 0, z3 0, z4 0, z5 0, z6 0, z7 0, z8 0, z9 0)
        """
        latent = self.model.latent
        if isinstance(codes, str | Path):
            rows = scoring.read_codes(self, Path(codes))
        else:
            rows = coding.check_rows(codes, latent, "codes")
        model = scoring.on_device(self)
        parts = []
        with progress.bar("decoding", len(rows), "codes", few=FEW) as advance:
            for batch in torch.split(torch.from_numpy(rows), BATCH):
                parts.append(model.decode(batch).cpu())
                advance(len(batch))
        decoded = torch.cat(parts)
        names = [f"z{j}" for j in range(latent)]
        if self.scaling is not None:
            pixels: Any = Columns(decoded.numpy(), self.scaling)
        else:
            pixels = (decoded * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        return Images(pixels, name=self.path.resolve().name, factors=rows.astype(np.float64), factor_names=names)

    def sample(self, n: int = 20, seed: int = 0) -> Images:
        """Return pictures decoded from samples of the prior, with these samples as their factors.

        Args:
            n: Number of pictures, at least 1.
            seed: The same seed gives the same pictures.

        Raises:
            InputError: If n is less than 1.

        Example:
            >>> import equipoise as eq
            >>> len(eq.open_run("runs/first").sample(5))
            5
        """
        return self.decode(prior_codes(self.model, n, seed).cpu().numpy())

    def nearest(self, source: Any, n: int | None = None, latents: Sequence[int] | None = None) -> Neighbours:
        """Return the encoded images of the run whose codes are nearest to those of other images.

        Args:
            source: The images, as for `encode`. The nearest image of an image of the run is itself, at distance 0.
            n: Neighbours of each image, 1 to the number of encoded images; default: 10, or all if there are fewer.
            latents: The latents to compare, each in 0..D-1; default: all.

        Raises:
            InputError: For images that cannot have the shape of the run's, or n or latents that do not exist.

        Example:
            >>> import equipoise as eq
            >>> run = eq.open_run("runs/first")
            >>> run.nearest(run.images.pixels([7]), n=3).index.shape
            (1, 3)
        """
        return code_space.nearest(self.codes, self.encode(source), n, latents)

    def outliers(self, n: int | None = None, by: str = "elbo", source: Any = None) -> Outliers:
        """Return the images that are most unlike the others by the model.

        Args:
            n: How many; default: 10, or all if there are fewer.
            by: elbo: a low evidence lower bound, in nats, with its sign changed. error: the squared error of the
                reconstruction. kl: the KL of posterior and prior, in nats. code: the mean distance to the 10 nearest
                codes of the run.
            source: Images to rank instead of those that the run encoded; they are compared with these.

        Raises:
            InputError: For another measure or number.

        Example:
            >>> import equipoise as eq
            >>> eq.open_run("runs/first").outliers(3, by="error").value.shape
            (3,)
        """
        return code_space.outliers(self.codes, None if source is None else self.encode(source), n, by)

    def pipe(self, latents: Latents = "shuffled", seen: int = 50_000, seed: int = 0) -> Score:
        """Return PIPE, a score without labels: 1 if pictures of independently drawn latents look like reconstructions.

        A discriminator learns to tell them apart, in about a minute for images of 64 pixels on a processor. The score
        is twice its error rate in a test. A score of 1 is necessary for disentangled latents, but not sufficient:
        latents without information have it, too.

        Args:
            latents: `shuffled`: each latent takes the value of another image. `uniform`: a value between the smallest
                and the largest, as in the authors' program.
            seen: Pictures on which the discriminator is trained.
            seed: The same seed gives the same score.

        Raises:
            InputError: For a run with fewer than 20 codes.

        Source:
            Estermann & Wattenhofer, DAVA: Disentangling Adversarial Variational Autoencoder, ICLR 2023,
            https://arxiv.org/abs/2303.01384

        Example:
            >>> import equipoise as eq
            >>> run = eq.open_run("runs/first")
            >>> 0 <= run.pipe(seen=640).value <= 1
            True
        """
        return pipe(scoring.on_device(self), self.codes["mean"], latents, seen, seed)

    def map(self, kind: code_map.Kind = "pca", latents: Sequence[int] | None = None) -> Figure:
        """Return a figure of the encoded images in a plane, coloured by the factors or by clusters of the codes.

        Args:
            kind: `pca`: the plane in which the codes of the active latents vary most. `umap`: a plane that keeps
                neighbours together, which needs umap-learn and takes a few seconds.
            latents: Two latents, each in 0..D-1, that are the axes instead.

        Raises:
            InputError: For a run with fewer than three images or two latents that vary, latents that do not exist, or
                without umap-learn.

        Example:
            >>> import equipoise as eq
            >>> [axes.get_xlabel() for axes in eq.open_run("runs/first").map(latents=[3, 5]).axes][:2]
            ['z3', 'z3']
        """
        findings = analyse(self)
        return picture(self, findings, code_map.arrange(findings.codes, kind, latents)).figure

    def traversals(
        self,
        image: Any = None,
        latents: Sequence[int] | None = None,
        limits: tuple[float, float] | None = None,
        steps: int = 11,
    ) -> Figure:
        """Return a figure of latent traversals of one image, with a row for each latent.

        Args:
            image: One image, as for `encode`; default: a typical image of the run.
            latents: The latents to vary, each in 0..D-1; default: the active ones, sorted by information.
            limits: The ends of the range of every latent; default: the 5th and 95th percentile of each over the run.
            steps: Pictures of each latent, 2 to 101.

        Raises:
            InputError: For several images, or latents, ends or steps that are not possible.

        Example:
            >>> import equipoise as eq
            >>> len(eq.open_run("runs/first").traversals(latents=[3, 5], limits=(-2, 2)).axes)
            2
        """
        selection = traverse.choose(self, self._code_of(image), latents, limits, steps)
        return traversal_figure(self.model, selection.reference, selection.latents, selection.measure, steps)

    def animation(
        self,
        image: Any = None,
        latents: Sequence[int] | None = None,
        limits: tuple[float, float] | None = None,
        steps: int = 15,
        kind: Literal["gif", "mp4"] = "gif",
    ) -> bytes:
        """Return the traversals as a GIF or MP4 file, in which each latent moves from low to high and back.

        The other arguments are those of `traversals`; `steps` is the number of frames from low to high. An MP4 needs
        the extra `video`; raises `InputError` without it.
        """
        selection = traverse.choose(self, self._code_of(image), latents, limits, steps)
        write = traversal_mp4 if kind == "mp4" else traversal_gif
        return write(self.model, selection.reference, selection.latents, steps)

    def explore(self, height: int = 800) -> explorer.Frame:
        """Write the explorer, a page with a slider for each latent, and return it for a notebook.

        Args:
            height: The height of its frame in the notebook, in pixels.

        Returns:
            The page in a frame, which a notebook displays; `path` is the file, `explorer.html` in the run's folder.

        Raises:
            InputError: If the page cannot run a layer of the nets or the likelihood.

        Example:
            >>> import equipoise as eq
            >>> eq.open_run("runs/first").explore().path.name
            'explorer.html'
        """
        return explorer.Frame(explorer.write(self), height)

    def _code_of(self, image: Any) -> npt.NDArray[np.float64] | None:
        """The posterior mean [D] of one image. Raises `InputError` for several."""
        if image is None:
            return None
        images = self.prepare(image)
        if len(images) != 1:
            raise InputError(f"{len(images):,} images were given; a traversal starts from one, so give a single image")
        return np.asarray(self.encode(images)["mean"][0], dtype=np.float64)
