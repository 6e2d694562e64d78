"""What the page says in words: what was learned, and what each picture shows, for those who do not see it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from equipoise.report.findings import Findings
from equipoise.report.latents import Latent
from equipoise.scoring import Run

MOST = 8  # names in a sentence
HARDLY = 0.1  # of the nats of the first latent: less is not worth a sentence
BIT = np.log(2)  # nats


def lead(run: Run, found: Findings) -> list[str]:
    """What the model learned, in plain words and in order."""
    shown, latents = run.meta.get("images", len(run.images)), len(found.latents)
    labels = " and none of their labels" if found.factors else ""
    said = [
        f"Shown {shown:,} pictures of {Path(run.images.name).name}{labels}, the model learned to sum each up in "
        f"{latents} numbers, its latents, and to draw it again from these alone."
    ]
    if not found.active:
        return [*said, "It uses none of them: whatever it is shown, it draws the same picture."]
    main = [one for one in found.active if one.nats >= HARDLY * found.active[0].nats]
    used = "all of them" if len(main) == latents else f"{len(main)} of them"
    more = f", {len(found.active) - len(main)} more hardly at all," if len(found.active) > len(main) else ""
    nats = float(found.kl.sum())
    said.append(f"It uses {used}{more} and says {nats:.1f} nats about a picture, which is {nats / BIT:.0f} bits.")
    return said + _followed(main, [factor.name for factor in found.factors])


def _followed(latents: Sequence[Latent], factors: Sequence[str]) -> list[str]:
    """Which latents follow which factor."""
    if not factors:
        return []
    about: dict[str, list[str]] = {name: [] for name in factors}
    for latent in latents:
        if latent.factor is not None:
            about[latent.factor].append(f"z{latent.index}")
    told = [f"{listed(z)} follow{'s' if len(z) == 1 else ''} {name}" for name, z in about.items() if z]
    none = [name for name, z in about.items() if not z]
    said = [f"Judged by the labels, {'; '.join(told[:MOST])}."] if told else []
    return [*said, f"No latent follows {listed(none, 'or')}."] if none else said


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names in a row of words; of many the first eight, and how many more."""
    if len(names) > MOST:
        return f"{', '.join(names[:MOST])} {last} {len(names) - MOST} others"
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def alternatives(
    run: Run, found: Findings, drawn: Sequence[Latent], usual: Sequence[float], worst: Sequence[float]
) -> Mapping[str, str]:
    """What each picture of this run shows, by its name: `drawn` are the latents in it, the rest errors of images."""
    names = listed([f"z{one.index} ({one.factor})" if one.factor else f"z{one.index}" for one in drawn])
    over = listed([factor.name for factor in found.factors])
    errors = _ends(usual) + (f", and the worst of all, {_ends(worst)}" if len(worst) else "")
    said = {
        "traversals": f"Rows of pictures, one each for {names}: in each row one latent goes from low to high.",
        "latents-vs-factors": f"Mean codes of {names} over {over}.",
        "reconstructions": f"Originals, reconstructions, differences: images of squared error {errors}.",
        "samples": f"What the model makes up for {Path(run.images.name).name} from codes drawn from the prior.",
    }
    if run.logs:
        said["curves"] = f"Curves over training; in the last row of the log {_last(run.logs[-1])}."
        paths = {"rec": "reconstruction term", "kl": "KL term", "beta_equivalent": "β-equivalent"}
        ends = [
            f"{name} from {_number(run.logs[0], key)} to {_number(run.logs[-1], key)}" for key, name in paths.items()
        ]
        said["tradeoff"] = f"From the first row of the log to the last: {listed(ends)}."
    if found.information is not None:
        k, column = np.unravel_index(found.information.matrix.argmax(), found.information.matrix.shape)
        said["information"] = (
            f"Mutual information of {len(found.information.names)} factors and {len(drawn)} latents; the largest is "
            f"{found.information.matrix[k, column]:.2f} nats, of {found.information.names[k]} and z{column}."
        )
    return said


def _ends(errors: Sequence[float]) -> str:
    return f"{min(errors):.1f} to {max(errors):.1f}"


def _number(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return f"{value:.4g}" if isinstance(value, float | int) else "unknown"


def _last(row: Mapping[str, object]) -> str:
    return listed([f"{key} is {_number(row, key)}" for key, value in row.items() if isinstance(value, float)])
