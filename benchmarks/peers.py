"""Other libraries on dSprites in a given CPU time: pythae and disent, each with its own training loop and examples.

    python3 -m venv peers && peers/bin/pip install -e . pythae==0.1.2 disent==0.8.0
    peers/bin/python benchmarks/peers.py [--peer NAME ...] [--budget 600] [--seeds 5] [--threads 1] [--out peers.json]

The environment is separate because these libraries need packages that Equipoise does not (about 6 GB with torch for
CUDA). Nets, objectives and settings are those of the examples of the libraries:

- pythae-beta-vae and pythae-factor-vae: nets of examples/scripts/reproducibility/factorvae.py, binary cross-entropy,
  the default batches of 64 and learning rate of 1e-4; FactorVAE with the gamma of 35 of its dSprites settings, beta-VAE
  with the beta of 2 of examples/scripts/configs/mnist, because there is none for dSprites.
- pythae-beta-tcvae: examples/scripts/reproducibility/betatcvae.py: perceptrons, beta 6, batches of 1,000, 1e-3.
- disent-beta-vae and disent-beta-tcvae: docs/examples/readme_example.py: convolutional nets, beta 4 with a cyclic
  schedule, batches of 128, 1e-3. disent 0.8 has no FactorVAE.

Each seed is a process. The loop of the library runs until the process has used its CPU seconds. At ten points of this
time, 10,000 images of the full set are encoded and scored as in `time_to_disentangle.py`; loading and scoring do not
count. The file has the form of that script, so that `time_figure.py` draws both. It is written after each seed, and the
same command goes on where it was stopped.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import equipoise as eq
from equipoise import codes
from equipoise.files import replacing
from equipoise.training import speed

SCORES = ("mig", "factor_vae", "dci_hist_disentanglement")
POINTS, SCORED = 10, 10_000

Encode = Callable[[torch.Tensor], torch.Tensor]


class Finished(Exception):
    """Stops the loop of a library."""


class Clock:
    """Scores a model at equally spaced CPU times of its training, and stops the training after the last."""

    def __init__(self, budget: float, score: Callable[[], dict[str, float]]) -> None:
        self.budget = budget
        self.score = score
        self.points: list[dict[str, float]] = []
        self.images = 0
        self.start = time.process_time()

    def after_step(self, batch: int) -> None:
        """Count a step of this many images; score where a point is reached. Raises `Finished` after the last."""
        self.images += batch
        used = time.process_time() - self.start
        if used < self.budget * (len(self.points) + 1) / POINTS:
            return
        self.points.append({"images": self.images, "cpu_seconds": used, **self.score()})
        self.start = time.process_time() - used  # scoring does not count
        if len(self.points) == POINTS:
            raise Finished


def measure(peer: str, budget: float, seed: int) -> list[dict[str, float]]:
    """Train a peer in this process and return its points."""
    torch.manual_seed(seed)
    images = eq.load_data("dsprites")
    chosen = codes.index(images, SCORED)
    x, factors = torch.from_numpy(images.pixels(chosen)).float() / 255, images.factors[chosen]  # type: ignore[index]

    def scores(encode: Encode) -> dict[str, float]:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a collapsed latent lowers the scores, which is enough
            means = np.concatenate([encode(part).numpy() for part in torch.split(x, 500)])
            found = eq.metrics.score(means, factors, which=SCORES, convention="carbonneau", interval=False)
        return {name: float(found[name].value) for name in SCORES}

    library, _, method = peer.partition("-")
    loop = {"pythae": with_pythae, "disent": with_disent}[library]
    return loop(method, images.pixels(np.arange(len(images))), budget, scores)


# --- pythae -----------------------------------------------------------------------------------------------------------


def with_pythae(
    method: str, pixels: np.ndarray, budget: float, scores: Callable[[Encode], dict[str, float]]
) -> list[dict[str, float]]:
    """Train by the trainer of pythae."""
    from pythae import models, trainers
    from pythae.data.datasets import BaseDataset, DatasetOutput
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers.training_callbacks import TrainingCallback

    class Sprites(BaseDataset):
        def __getitem__(self, index: int) -> Any:
            return DatasetOutput(data=self.data[index].float() / 255, labels=self.labels[index])

    class Encoder(BaseEncoder):
        def __init__(self, layers: nn.Sequential, width: int) -> None:
            super().__init__()
            self.layers = layers
            self.embedding, self.log_var = nn.Linear(width, 10), nn.Linear(width, 10)

        def forward(self, x: torch.Tensor) -> Any:
            out = self.layers(x)
            return ModelOutput(embedding=self.embedding(out), log_covariance=self.log_var(out))

    class Decoder(BaseDecoder):
        def __init__(self, layers: nn.Sequential) -> None:
            super().__init__()
            self.layers = layers

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    class Score(TrainingCallback):
        def on_train_step_end(self, training_config: Any, **_: Any) -> None:
            clock.after_step(training_config.per_device_train_batch_size)

    common = {"input_dim": (1, 64, 64), "latent_dim": 10, "reconstruction_loss": "bce"}
    nets = perceptrons() if method == "beta-tcvae" else convolutions()
    encoder, decoder = Encoder(nets[0], 1200 if method == "beta-tcvae" else 128), Decoder(nets[1])
    folder = {"output_dir": tempfile.mkdtemp(), "num_epochs": 10**6, "no_cuda": True}
    if method == "beta-tcvae":
        config = models.BetaTCVAEConfig(**common, alpha=1, beta=6, gamma=1, use_mss=False)
        model = models.BetaTCVAE(config, encoder, decoder)
        adam = {"optimizer_cls": "Adam", "optimizer_params": {"eps": 1e-4}, "learning_rate": 1e-3}
        training = trainers.BaseTrainerConfig(**folder, **adam, per_device_train_batch_size=1000)
        trainer = trainers.BaseTrainer
    elif method == "factor-vae":
        model = models.FactorVAE(models.FactorVAEConfig(**common, gamma=35), encoder, decoder)
        training, trainer = trainers.AdversarialTrainerConfig(**folder), trainers.AdversarialTrainer
    else:
        model = models.BetaVAE(models.BetaVAEConfig(**common, beta=2), encoder, decoder)
        training, trainer = trainers.BaseTrainerConfig(**folder), trainers.BaseTrainer
    data = Sprites(torch.from_numpy(pixels), torch.zeros(len(pixels)))
    loop = trainer(model=model, train_dataset=data, training_config=training, callbacks=[Score()])

    def score() -> dict[str, float]:
        model.eval()
        found = scores(lambda x: model.encoder(x)["embedding"])
        model.train()
        return found

    clock = Clock(budget, score)
    with suppress(Finished):
        loop.train()
    return clock.points


def convolutions() -> tuple[nn.Sequential, nn.Sequential]:
    """Return the nets of pythae's FactorVAE for dSprites, without the last layers of the encoder."""
    sizes = [(1, 32), (32, 32), (32, 64), (64, 64)]
    down = [layer for a, b in sizes for layer in (nn.Conv2d(a, b, 4, 2), nn.ReLU())]
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(256, 128))
    up = [layer for b, a in sizes[::-1] for layer in (nn.ConvTranspose2d(a, b, 4, 2, padding=1), nn.ReLU())]
    dense = [nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4))]
    return encoder, nn.Sequential(*dense, *up[:-1], nn.Sigmoid())


def perceptrons() -> tuple[nn.Sequential, nn.Sequential]:
    """Return the nets of pythae's beta-TCVAE for dSprites, without the last layers of the encoder."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(4096, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU())
    widths = [10, 1200, 1200, 1200]
    hidden = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.Tanh())]
    return encoder, nn.Sequential(*hidden, nn.Linear(1200, 4096), nn.Sigmoid(), nn.Unflatten(1, (1, 64, 64)))


# --- disent -----------------------------------------------------------------------------------------------------------


def with_disent(
    method: str, pixels: np.ndarray, budget: float, scores: Callable[[Encode], dict[str, float]]
) -> list[dict[str, float]]:
    """Train by Lightning, as disent does."""
    import lightning
    from disent.dataset import DisentDataset
    from disent.dataset.data import ArrayGroundTruthData
    from disent.dataset.sampling import SingleSampler
    from disent.dataset.transform import ToImgTensorF32
    from disent.frameworks.vae import BetaTcVae, BetaVae
    from disent.model import AutoEncoder
    from disent.model.ae import DecoderConv64, EncoderConv64
    from disent.schedule import CyclicSchedule

    class Score(lightning.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            clock.after_step(128)

    names, sizes = ("shape", "scale", "orientation", "pos_x", "pos_y"), (3, 6, 40, 32, 32)
    images = ArrayGroundTruthData(pixels.transpose(0, 2, 3, 1), names, sizes)
    data = DisentDataset(dataset=images, sampler=SingleSampler(), transform=ToImgTensorF32())
    loader = torch.utils.data.DataLoader(data, batch_size=128, shuffle=True, num_workers=0)
    framework = BetaTcVae if method == "beta-tcvae" else BetaVae
    nets = AutoEncoder(
        encoder=EncoderConv64(x_shape=images.x_shape, z_size=10, z_multiplier=2),
        decoder=DecoderConv64(x_shape=images.x_shape, z_size=10),
    )
    settings = framework.cfg(optimizer="adam", optimizer_kwargs={"lr": 1e-3}, loss_reduction="mean_sum", beta=4)
    module = framework(model=nets, cfg=settings)
    module.register_schedule("beta", CyclicSchedule(period=1024))

    def score() -> dict[str, float]:
        module.eval()
        found = scores(module.encode)
        module.train()
        return found

    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(max_epochs=-1, callbacks=[Score()], **options)
    clock = Clock(budget, score)
    with suppress(Finished):
        trainer.fit(module, loader)
    return clock.points


# --- all trainings ----------------------------------------------------------------------------------------------------

PEERS = ("pythae-beta-vae", "pythae-beta-tcvae", "pythae-factor-vae", "disent-beta-vae", "disent-beta-tcvae")


def main() -> None:
    parser = argparse.ArgumentParser(description="scores of pythae and disent on dSprites in a given CPU time")
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=PEERS, help="libraries and methods")
    parser.add_argument("--budget", type=float, default=600.0, help="CPU seconds of training for each seed")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--out", type=Path, default=Path("peers.json"), help="JSON file to write")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        torch.set_num_threads(args.threads)
        print(json.dumps(measure(**json.loads(args.measure))))
        return
    about = {"processor": speed.processor(), "torch": torch.__version__, "threads": args.threads, "budget": args.budget}
    stored = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {**about, "results": []}
    if any(stored[key] != value for key, value in about.items()):
        parser.error(f"{args.out} is of another machine, budget or number of threads; take another --out")
    entries = {entry["method"]: entry for entry in stored["results"]}
    for seed in range(args.seeds):
        for peer in args.peer:
            settings = {"data.name": "dsprites", "data.size": 64}
            entry = entries.setdefault(peer, {"method": peer, "settings": settings, "seeds": {}})
            if str(seed) in entry["seeds"]:
                continue
            print(f"{peer}, seed {seed}", file=sys.stderr)
            entry["seeds"][str(seed)] = fresh(peer, args.budget, seed, args.threads)
            entry["median"] = [
                {name: statistics.median(point[name] for point in same) for name in same[0]}
                for same in zip(*entry["seeds"].values(), strict=True)
            ]
            with replacing(args.out) as file:
                file.write((json.dumps({**about, "results": list(entries.values())}, indent=1) + "\n").encode())
    print(f"{about['processor']}, {args.threads} threads, {args.budget:g} CPU seconds")
    for entry in entries.values():
        ends = ", ".join(f"{points[-1]['mig']:.3f}" for points in entry["seeds"].values())
        print(f"{entry['method']:<20} MIG {entry['median'][-1]['mig']:.3f} ({ends})")
    print(f"wrote {args.out}")


def fresh(peer: str, budget: float, seed: int, threads: int) -> Any:
    """Return the points of a training in a separate process."""
    arguments = json.dumps({"peer": peer, "budget": budget, "seed": seed})
    command = [sys.executable, __file__, "--measure", arguments, "--threads", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
