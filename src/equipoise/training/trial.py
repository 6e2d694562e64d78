"""A trial of training: how fast it is on this machine, and with how many threads."""

from collections.abc import Callable
from time import monotonic

import torch
from torch import Tensor

from equipoise.torch_defaults import torch_threads
from equipoise.training.loop import Training

WARM_UP = 3  # steps that are not measured
GAIN = 1.4  # factor by which a doubling of the threads has to speed training up
SECONDS = 0.8  # of training with each number of threads


def images_per_second(training: Training, batch: Callable[[int, int], Tensor], seconds: float) -> float:
    """Return the speed of some steps, which change the training.

    Args:
        training: a training for measurements only; several calls can share one.
        batch: returns the batch of a step and a stream.
        seconds: how long to train, at least one step after the first three.

    If each half of the latents learns from a target of its own at first, these steps are slower. The speed is then that
    of the whole schedule, from a trial of both kinds of steps.
    """
    training.model.train()
    training.objective.train()
    share = training.objective.balance.apart
    if share == 0:
        return _speed(training, batch, seconds)
    training.step = 0
    first = _speed(training, batch, seconds * share)
    training.step = int(share * training.train.schedule_length) + 1
    return 1 / (share / first + (1 - share) / _speed(training, batch, seconds * (1 - share)))


def _speed(training: Training, batch: Callable[[int, int], Tensor], seconds: float) -> float:
    """Return the images per second of the next steps."""
    images, start, first = 0, monotonic(), training.step
    while training.step <= first + WARM_UP or monotonic() < start + seconds:
        if training.step == first + WARM_UP:
            _wait(training.device)
            images, start = 0, monotonic()
        x = batch(training.step, 0)
        training.advance(x, batch(training.step, 1) if training.objective.needs_second_batch else None)
        images += len(x)
    _wait(training.device)
    training.pending.clear()
    return images / (monotonic() - start)


def best_threads(measure: Callable[[], float], most: int) -> int:
    """Return a number of threads from 1 to `most`: the doublings of 1 that each make training 1.4 times as fast.

    Other programs slow several threads down more than one, since the threads wait for each other in each operation. So
    the result is small on a busy machine, and two trainings at once do not wait for each other's threads. The
    number of threads of torch is restored at the end.

    measure: returns the speed with torch's present number of threads.
    """
    threads = 1
    with torch_threads(1):
        speed = measure()
        while 2 * threads <= most:
            torch.set_num_threads(2 * threads)
            faster = measure()
            if faster < GAIN * speed:
                break
            threads, speed = 2 * threads, faster
    return threads


def _wait(device: torch.device) -> None:
    """Wait for the steps that a GPU has not finished yet."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
