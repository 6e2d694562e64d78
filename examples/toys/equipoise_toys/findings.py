"""The results of the experiments as numbers for programs and as a table for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equipoise_toys import ica
from equipoise_toys.experiments import (
    BUDGET,
    GONE,
    LATENTS,
    NOISE,
    SCALES,
    THIRD,
    VARIANCES,
    Learned,
    N,
    Pruning,
    Rotation,
    Shrinking,
    pruning,
)

SHARES = (0.0, 0.1, 0.3, 0.5, 0.5**0.5, 0.9, 1.0)  # of experiment 2 in the table


def findings(turned: Rotation, shared: Pruning, shrunk: Shrinking, learned: Sequence[Learned]) -> dict[str, Any]:
    """Collect the results with their settings: nats of all data, angles in degrees."""
    vi = turned.free_energy[1.0]
    table = pruning(np.array(SHARES))
    return {
        "rotation": {
            "settings": {"scales": SCALES, "noise_variance": NOISE, "n": N},
            "log_likelihood": float(turned.log_likelihood[0]),
            "log_likelihood_range": float(np.ptp(turned.log_likelihood)),
            "free_energy": {f"{a:g}": float(vi[turned.angle == a].item()) for a in (0, 22.5, 45)},
            "betas": [
                {
                    "beta": beta,
                    "best_angles": turned.angle[np.isclose(free, free.max(), rtol=0, atol=1e-9)].tolist(),
                    "amplitude": float(np.ptp(free)),
                    "amplitude_eq13": beta * float(np.ptp(free)),
                }
                for beta, free in turned.free_energy.items()
            ],
        },
        "pruning": {
            "settings": {"third": THIRD, "noise_variance": NOISE, "n": N},
            "log_likelihood": float(shared.log_likelihood[0]),
            "log_likelihood_range": float(np.ptp(shared.log_likelihood)),
            "share": table.share.tolist(),
            "gap": (table.log_likelihood - table.free_energy).tolist(),
        },
        "linear_vae": {
            "settings": {"variances": VARIANCES, "noise_variance": NOISE, "latents": LATENTS},
            "betas": [
                {
                    "beta": beta,
                    "eigenvalues": values.tolist(),
                    "closed_form": np.maximum(np.array(VARIANCES) - beta * NOISE, 0).tolist(),
                    "error": shrunk.error[beta],
                }
                for beta, values in shrunk.eigenvalues.items()
            ],
        },
        "ica": {
            "settings": {
                "n": ica.DATA,
                "angles": ica.ANGLES,
                "noise_variance": ica.NOISE,
                "degrees_of_freedom": ica.DEGREES,
                "budget": BUDGET,
                "iterations": len(learned[0].weights) - 1,
            },
            "runs": [_components(run) for run in learned],
        },
    }


def _components(run: Learned) -> dict[str, Any]:
    sizes = ica.lengths(run.weights)
    pruned = sizes[:, 0] < GONE * sizes[:, -1]
    return {
        "seed": run.seed,
        "beta": run.beta,
        **{
            name: {"lengths": sizes[at].tolist(), "angle": ica.angle(run.weights[at])}
            for name, at in (("budget", BUDGET), ("last", -1))
        },
        "pruned_after": int(pruned.argmax()) if pruned.any() else None,
    }


def table(results: Mapping[str, Any]) -> str:
    """Format the results as text."""
    turned, shared, shrunk, learned = (results[key] for key in ("rotation", "pruning", "linear_vae", "ica"))
    lines = [f"1  rotating an orthogonal solution: log-likelihood {turned['log_likelihood']:.4f} nats at every angle"]
    lines += [f"     {angle:>5}°  free energy {value:9.4f}" for angle, value in turned["free_energy"].items()]
    lines += ["", f"2  one component as two: log-likelihood {shared['log_likelihood']:.4f} nats at every share"]
    lines += [
        f"     share {a:.3f}  free energy lower by {gap:.4f}"
        for a, gap in zip(shared["share"], shared["gap"], strict=True)
    ]
    lines += [
        "",
        "3  rotation at other betas: best angles, range over angles of F and of beta F, nats",
    ]
    for row in turned["betas"]:
        best = " ".join(f"{angle:g}°" for angle in row["best_angles"])
        lines.append(f"     beta {row['beta']:<4g} {best}   {row['amplitude']:.3f}   {row['amplitude_eq13']:.3f}")
    lines += ["", "   fitting the weights as well: eigenvalues of W Wᵀ, closed form in brackets"]
    for row in shrunk["betas"]:
        pairs = [f"{a:.3f} ({b:.3f})" for a, b in zip(row["eigenvalues"], row["closed_form"], strict=True)]
        lines.append(f"     beta {row['beta']:<4g} {'  '.join(pairs)}")
    lines += ["", "4  over-complete ICA: lengths of the components, truly 1, and angle of the longest two, truly 60°"]
    last = f"after {learned['settings']['iterations']}"
    lines.append(f"     seed  beta  {f'after {BUDGET} EM iterations':<28}{last:<28}pruned after")
    for row in learned["runs"]:
        cells = [
            f"{' '.join(f'{size:.2f}' for size in row[at]['lengths'])}  {row[at]['angle']:4.1f}°"
            for at in ("budget", "last")
        ]
        lines.append(
            f"     {row['seed']:<5} {row['beta']:<5g} {cells[0]:<28}{cells[1]:<28}{row['pruned_after'] or '-'}"
        )
    return "\n".join(lines)
