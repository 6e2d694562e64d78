"""The trade-off of a run whose model serves a range of beta."""

from collections.abc import Sequence

import numpy as np

from equipoise.report.figures.rates import rates_figure
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.rates import last_active, rates
from equipoise.report.sections.section import Block, Picture
from equipoise.report.sentences import one_of
from equipoise.scoring import Run


def trade_off(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the curve over beta and the betas at which latents become inactive; nothing for a run of one beta."""
    curve = rates(run)
    if curve is None:
        return []
    html = macros("report/sections/rates.html")
    beta, last = curve["beta"], last_active(curve)
    order = sorted(np.flatnonzero(last >= 0).tolist(), key=lambda j: (-last[j], -curve["nats"][0, j]))
    factors = {latent.index: latent.factor for latent in findings.latents}
    ends = [(j, factors[j], beta[last[j]], beta[last[j] + 1] if last[j] + 1 < len(beta) else None) for j in order]
    figure = rates_figure(curve, order or range(min(3, curve["nats"].shape[1])))
    alt = (
        f"At β {beta[0]:.3g} the KL is {curve['kl'][0]:.1f} nats and the reconstruction term {curve['rec'][0]:.1f}, at "
        f"β {beta[-1]:.3g} they are {curve['kl'][-1]:.1f} and {curve['rec'][-1]:.1f}."
    )
    caption = html.caption(len(curve["index"]), findings.measure, "mig" in curve, one_of(run))
    unused = np.flatnonzero(last < 0).tolist()
    return [Picture("rates", figure, alt, caption, format="svg"), html.body(curve, ends, unused, run.path, one_of(run))]
