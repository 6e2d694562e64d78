"""The sections [net], [train] and [evaluate] of the settings of a run. [data] is in `data.settings`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from equipoise.data.settings import Labels
from equipoise.methods.method import STRICT
from equipoise.trackers import TrackerName, split_names

AtLeast1 = Annotated[int, Field(ge=1)]
AtLeast2 = Annotated[int, Field(ge=2)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class Net:
    """[net]: encoder and decoder."""

    name: str = "locatello"
    """architecture (`equipoise list nets`)"""
    latent: Annotated[int, Field(ge=1, le=65_536)] = 10
    """latent dimensions; 10 is common in the literature"""


@dataclass(frozen=True, config=STRICT)
class Train:
    """[train]: duration, batches, optimiser, devices, logs."""

    steps: AtLeast1 = 50_000
    """training steps; 50,000 take half an hour to an hour on two cores"""
    schedule_steps: AtLeast1 | None = None
    """length of every schedule in steps; unset: `steps`"""
    batch: AtLeast2 = 64
    """images per step; 64 is the protocol of Locatello et al. (2019)"""
    labels: Labels = None
    """labelled images that chosen latents learn from: their number or share, the path of a table, or a table of
    settings, `labels.source` and so on; unset: none"""
    optimizer: Literal["adam", "muon"] = "adam"
    """muon: orthogonal updates of the hidden layers of encoder and decoder, so that weak factors need fewer images;
    layers with more than 512 inputs and outputs take the steps of adam"""
    lr: Positive = 1e-4
    """learning rate; 1e-4 is the protocol of Locatello et al. (2019)"""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """decoupled weight decay of encoder and decoder (AdamW); 0: Adam"""
    init: Annotated[str, Field(min_length=1)] | None = None
    """the folder of a run from whose weights encoder and decoder start; unset: random weights"""
    start_at_mean: bool = False
    """whether the decoder starts at the mean image of the first batch, which it otherwise learns first"""
    schedule: Literal["constant", "one-cycle", "warmup-cosine"] = "constant"
    """the learning rate over the run; one-cycle: from lr/10 up to lr at half the schedule, then to lr/100;
    warmup-cosine: from lr/100 up to lr in the first 3 % of the schedule, then to lr/100"""
    clip: Positive | None = None
    """largest norm of the gradient of encoder and decoder; unset: unlimited"""
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    """seed of weights, batches and noise"""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto: CUDA if available, else cpu"""
    devices: AtLeast1 | None = None
    """processes per machine, each on its own GPU or cores; they share each batch; unset: one"""
    nodes: AtLeast1 | None = None
    """machines, connected by torchrun or Slurm; unset: one"""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """threads of torch in each process; unset: measured on a CPU; with several devices, all cores divided by them"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: encoder and decoder in bfloat16, everything else in fp32"""
    fast: bool = True
    """whether to use fused Adam, channels_last, allocator options and, if exact on this processor, oneDNN, and to flush
    subnormal numbers to 0"""
    log_every: AtLeast1 = 100
    """steps between rows of log.jsonl; a row is a mean over them"""
    checkpoint_every: AtLeast1 = 2_000
    """steps between checkpoints"""
    keep: Literal["all", "model"] = "all"
    """what the last checkpoint contains; model: no optimiser state, which is two thirds of the file, so the run cannot
    be trained further"""
    track: Annotated[tuple[TrackerName, ...] | None, BeforeValidator(split_names)] = None
    """experiment trackers to log to: tensorboard, wandb, mlflow (comma-separated); unset: none"""

    @property
    def processes(self) -> int:
        """Processes on all machines."""
        return (self.devices or 1) * (self.nodes or 1)

    @property
    def schedule_length(self) -> int:
        """Length of every schedule in steps."""
        return self.steps if self.schedule_steps is None else self.schedule_steps


@dataclass(frozen=True, config=STRICT)
class Evaluate:
    """[evaluate]: codes and scores."""

    every: AtLeast1 | None = None
    """steps between scores during training; unset: score at the end only"""
    which: str | tuple[str, ...] = "default"
    """metrics to compute: default, all, or names (comma-separated)"""
    convention: Literal["default", "carbonneau", "locatello"] = "carbonneau"
    """parameters of the metrics; carbonneau is that of the L-VAE paper"""
    n: AtLeast2 = 10_000
    """images to encode and score, the same for all runs on a data set"""
    interval: bool = True
    """whether to compute intervals and baselines of the scores, which take most of the scoring time; a study has
    intervals over its seeds"""
