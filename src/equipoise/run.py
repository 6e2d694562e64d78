"""A trained run on disk: its settings, model, log, codes and scores."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from equipoise import codes as coding
from equipoise import config as configuration
from equipoise import scoring
from equipoise.assemble import build, load_images
from equipoise.config import Config
from equipoise.data import Images
from equipoise.data.load import load_like
from equipoise.errors import InputError, RunError
from equipoise.files import read_json
from equipoise.metrics import Score
from equipoise.model import VAE
from equipoise.run_folder import Meta, load_checkpoint
from equipoise.training import checkpoint
from equipoise.training.loop import Row


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
    array: Images | None = dataclasses.field(default=None, repr=False, compare=False)
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
        return model.eval() if self.beta is None else model.eval().at(self.beta)

    @cached_property
    def logs(self) -> list[Row]:
        """The rows of `log.jsonl`, each with means over `train.log_every` steps; losses in nats per image."""
        return checkpoint.read_log(self.path / "log.jsonl")

    @cached_property
    def codes(self) -> coding.Codes:
        """The arrays of `codes.npz`: index [N], factors [N, K], mean, logvar, z [N, D], sse, bce [N]."""
        if self.beta is not None and not (self.results / "codes.npz").exists():
            raise RunError(f"{self.results} has no codes; run equipoise evaluate {self.path} --beta {self.beta:g}")
        codes = coding.load(self.results / "codes.npz")
        if missing := [name for name in ("index", "mean", "logvar") if name not in codes]:
            raise RunError(f"{self.path / 'codes.npz'} has no array {missing[0]}; run equipoise evaluate {self.path}")
        return codes

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The scores of `scores.json` by metric; empty when there are none."""
        path = self.results / "scores.json"
        return scoring.read(path)["scores"] if path.exists() else {}

    @cached_property
    def images(self) -> Images:
        """The images that `codes["index"]` counts: the part of the data that `data.scored` selects.

        Raises `InputError` for a reopened run that was trained on an array.
        """
        config = self.config
        if self.array is None and not Path(config.data.name).exists() and "paths" in self.meta["data"]:
            # The path was relative to the folder in which the run was trained.
            data = dataclasses.replace(config.data, **self.meta["data"]["paths"])
            config = dataclasses.replace(config, data=data)
        return load_images(config, self.array)[-1]

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
        images = load_like(source, self.config.data, self.model.shape, self.meta["data"].get("range"))
        return coding.encode(scoring.on_device(self).at(beta), images, np.arange(len(images)))
