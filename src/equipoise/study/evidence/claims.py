"""Claims of the papers as hypotheses with a test: protocol, result, power and verdict.

An effect is a difference of means over seeds, with the interval of Welch's t-test. It is positive in the direction of
the claim. `MARGIN` is the difference in MIG that counts as equal. Each data set is judged separately. A claim
is supported, or contradicted, if it is so on one data set and not the opposite on the other.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, NamedTuple

from equipoise.methods import METHODS
from equipoise.study.compare import tables
from equipoise.study.evidence import board
from equipoise.study.evidence.board import DATA
from equipoise.study.evidence.effects import Effect, Judgement, effect, together
from equipoise.study.evidence.forest import Effects, draw
from equipoise.study.evidence.table import Evidence, Page, Size, StudyRun, read

NAME = "claims"
MARGIN = 0.05  # of the MIG
NEAR = math.log(1.05)  # a squared error that is larger by up to 5 % counts as equal
TOLERANCE = 0.05  # of a set point, as a share
ISA_BETAS = (1.0, 2.0, 3.0)
STARTS = (0.64, 6.4, 64.0)  # beta_0 of the progressive RF-VAE, over three decades with the default in the middle
FACTORS = 5  # of dSprites; the nets have twice as many latents
EXTRA: tuple[Mapping[str, Any], ...] = (
    {"name": "beta-vae", "beta": 3.0},
    *({"name": "beta-tcvae", "beta": beta} for beta in ISA_BETAS),
    *({"name": "isa-vae", "beta": beta} for beta in ISA_BETAS[1:]),
    *({"name": "isa-vae", "beta": beta, "learned": True} for beta in ISA_BETAS),
    *({"name": "progressive-rf-vae", "beta_0": start} for start in (STARTS[0], STARTS[2])),
)
NEEDED = ("l-vae", "isa-vae", "dynamic-vae", "control-vae", "progressive-rf-vae", "rf-vae")


class Finding(NamedTuple):
    """The result of a claim on a data set, with the effects that it is judged by, if any."""

    data: str
    result: str
    power: str
    verdict: Judgement
    mig: Effect | None = None
    sse: Effect | None = None  # of the natural logarithm of the squared error

    @property
    def values(self) -> dict[str, Any]:
        """The finding for JSON."""
        effects = {"mig": self.mig, "log_sse": self.sse}
        numbers = {name: each._asdict() for name, each in effects.items() if each is not None}
        return {"data": self.data, "result": self.result, "power": self.power, "verdict": self.verdict, **numbers}


class Claim(NamedTuple):
    """A claim, its source, how it is tested, and the test on one data set: None before its runs are finished."""

    statement: str
    source: str
    protocol: str
    test: Callable[["Runs", str], Finding | None]
    data: Sequence[str] = DATA


class Runs:
    """The runs, by data set and settings of the method."""

    def __init__(self, runs: Sequence[StudyRun]) -> None:
        self.runs = runs

    def select(self, data: str, name: str, **settings: Any) -> list[StudyRun]:
        """Return the runs of a method with these settings, and the others at their defaults; none before all finish."""
        runs = self.planned(data, name, **settings)
        return [] if any(run.record is None for run in runs) else runs

    def planned(self, data: str, name: str, **settings: Any) -> list[StudyRun]:
        """Return the runs of `select`, whether they are finished or not."""
        method = METHODS[name](**settings)
        return [run for run in self.runs if run.data == data and run.config.method == method]

    def best_fixed(self, data: str) -> tuple[float, list[StudyRun]]:
        """Return the weight of the beta-VAE with the largest mean MIG, and its runs.

        NaN and none before those of all weights are finished, and if fewer than two seeds have a MIG.
        """
        by_beta = {beta: self.planned(data, "beta-vae", beta=beta) for beta in board.BETAS}
        if any(run.record is None for runs in by_beta.values() for run in runs):
            return math.nan, []
        means = {beta: fmean(scores(runs)) for beta, runs in by_beta.items() if len(scores(runs)) > 1}
        best = max(means, key=means.__getitem__, default=math.nan)
        return best, by_beta.get(best, [])


def scores(runs: Sequence[StudyRun], metric: str = "mig") -> list[float]:
    """Return a score of each run that has it; the squared error as its logarithm."""
    values = [run.scores[metric] for run in runs if metric in run.scores]
    return [math.log(value) for value in values] if metric == "sse" else values


def mig_finding(data: str, verdict: Judgement, result: str, mig: Effect, sse: Effect | None = None) -> Finding:
    """Return a finding that states the power as a difference in MIG."""
    return Finding(data, result, f"{mig.detectable:.3f} of MIG", verdict, mig, sse)


# --- the tests --------------------------------------------------------------------------------------------------------


def compare(*pairs: tuple[Sequence[StudyRun], Sequence[StudyRun]]) -> tuple[Effect, Effect] | None:
    """Return the effects in MIG and in log squared error of the first runs of each pair minus the second ones.

    They are averaged over the pairs. None before two seeds of each.
    """
    mig, sse = (
        effect(*((scores(ours, metric), scores(theirs, metric)) for ours, theirs in pairs)) for metric in ("mig", "sse")
    )
    return None if mig is None or sse is None else (mig, sse)


def last_betas(runs: Sequence[StudyRun]) -> list[float]:
    """Return the last weight of the KL of each run."""
    return [run.record.curves["beta_equivalent"][-1] for run in runs if run.record is not None]


def judge_tuning(runs: Runs, data: str) -> Finding | None:
    """Test L-VAE against the beta-VAE with the best of eight weights."""
    beta, best = runs.best_fixed(data)
    effects = compare((runs.select(data, "l-vae"), best))
    if effects is None:
        return None
    mig, sse = effects
    text = f"MIG {mig} against beta {beta:g}; squared error times {math.exp(sse.value):.2f}"
    return mig_finding(data, mig.judge(-MARGIN), text, mig, sse)


def judge_fixed(runs: Runs, data: str) -> Finding | None:
    """Test L-VAE against the beta-VAE whose fixed weight is nearest to the learned one."""
    ours = runs.select(data, "l-vae")
    if not ours:
        return None
    learned = fmean(last_betas(ours))
    beta = min(board.BETAS, key=lambda beta: abs(math.log(beta / learned)))
    effects = compare((ours, runs.select(data, "beta-vae", beta=beta)))
    if effects is None:
        return None
    mig, sse = effects
    text = f"learned {learned:.2g}, fixed {beta:g}: MIG {mig}, squared error times {math.exp(sse.value):.2f}"
    return mig_finding(data, together([mig.judge(), sse.negative.judge()]), text, mig, sse)


def judge_best(runs: Runs, data: str) -> Finding | None:
    """Test the best weight of this data set against the best weight of the other one."""
    beta, best = runs.best_fixed(data)
    other_beta, _ = runs.best_fixed(next(name for name in DATA if name != data))
    if math.isnan(beta) or math.isnan(other_beta):
        return None
    if beta == other_beta:
        return Finding(data, f"beta {beta:g} is best on both", "–", "contradicted")
    effects = compare((best, runs.select(data, "beta-vae", beta=other_beta)))
    if effects is None:
        return None
    mig, sse = effects
    return mig_finding(data, mig.judge(), f"MIG of its beta {beta:g} against beta {other_beta:g}: {mig}", mig, sse)


def judge_isa(rival: str, learned: bool) -> Callable[[Runs, str], Finding | None]:
    """Return the test of ISA-VAE against a rival with the same three weights."""

    def test(runs: Runs, data: str) -> Finding | None:
        pairs = [
            (runs.select(data, "isa-vae", beta=beta, learned=learned), runs.select(data, rival, beta=beta))
            for beta in ISA_BETAS
        ]
        effects = compare(*pairs)
        if effects is None:
            return None
        mig, sse = effects
        text = f"MIG {mig} over three weights; squared error times {math.exp(sse.value):.2f}"
        return mig_finding(data, together([mig.judge(), sse.negative.judge(-NEAR)]), text, mig, sse)

    return test


def judge_starts(runs: Runs, data: str) -> Finding | None:
    """Test whether the progressive RF-VAE depends on its first weight, from three of them."""
    groups = [scores(runs.select(data, "progressive-rf-vae", beta_0=start)) for start in STARTS]
    effects = [effect(pair) for pair in combinations(groups, 2)]
    differences = [difference for difference in effects if difference is not None]
    if len(differences) < len(effects):
        return None
    widest = max(differences, key=lambda difference: abs(difference.value))
    verdict = together([difference.judge_equal(MARGIN) for difference in differences])
    return mig_finding(data, verdict, f"largest difference in MIG of two first weights {widest}", widest)


def judge_dynamic(runs: Runs, data: str) -> Finding | None:
    """Test DynamicVAE against the beta-VAE with the best of eight weights."""
    beta, best = runs.best_fixed(data)
    ours = runs.select(data, "dynamic-vae")
    effects = compare((ours, best))
    if effects is None:
        return None
    mig, sse = effects
    betas = last_betas(ours)
    is_below_one: Judgement = "supported" if max(betas) < 1 else "contradicted"
    text = (
        f"MIG {mig} against beta {beta:g}; squared error times {math.exp(sse.value):.2f}; last beta {min(betas):.2g} "
        f"to {max(betas):.2g}"
    )
    return mig_finding(data, together([mig.judge(-MARGIN), sse.negative.judge(), is_below_one]), text, mig, sse)


def judge_set_point(runs: Runs, data: str) -> Finding | None:
    """Test whether the KL of ControlVAE is at its set point over the last fifth of the training."""
    ours = runs.select(data, "control-vae")
    levels = [
        fmean(run.record.recent("kl", run.config.train.steps, max(1, run.config.train.steps // 5)))
        for run in ours
        if run.record is not None
    ]
    if not levels:
        return None
    target = METHODS["control-vae"]().target  # type: ignore[attr-defined]
    count = sum(abs(level / target - 1) <= TOLERANCE for level in levels)
    verdict: Judgement = "supported" if count == len(ours) else "contradicted" if count == 0 else "undecided"
    text = f"KL {min(levels):.2f} to {max(levels):.2f} nats for {target:g}; {count} of {len(ours)} seeds are within "
    return Finding(data, f"{text}{TOLERANCE:.0%}", "–", verdict)


def judge_relevance(runs: Runs, data: str) -> Finding | None:
    """Test whether as many latents of RF-VAE as there are factors have a relevance above one half."""
    ours = [run.record.latents["relevance_dims"] for run in runs.select(data, "rf-vae") if run.record is not None]
    if not ours:
        return None
    counts = [sum(relevance > 0.5 for relevance in latents) for latents in ours]
    verdict: Judgement = "supported" if 2 * counts.count(FACTORS) > len(ours) else "contradicted"
    return Finding(data, f"{', '.join(map(str, counts))} of {len(ours[0])} latents are relevant", "–", verdict)


CLAIMS = (
    Claim(
        "L-VAE is at least as good as a beta-VAE tuned by hand",
        "L-VAE, Table 2",
        f"MIG of l-vae minus that of the best of eight fixed weights is above -{MARGIN}",
        judge_tuning,
    ),
    Claim(
        "A fixed beta equal to the learned one does worse",
        "L-VAE, Table 3",
        "MIG of l-vae is above, and its squared error below, that of the fixed weight nearest to its last beta",
        judge_fixed,
    ),
    Claim(
        "The best beta differs between data sets",
        "L-VAE, Figure 2",
        "on each data set, the MIG of its own best weight is above that of the other's; the weights are chosen "
        "with the same seeds, which favours a difference",
        judge_best,
    ),
    *(
        Claim(
            f"ISA-VAE{' with learned exponents' if learned else ''} trades better than {rival}",
            "ISA-VAE, Figure 5",
            "mean over beta = 1, 2, 3: MIG above, squared error at most 5 % larger",
            judge_isa(rival, learned),
        )
        for learned in (False, True)
        for rival in ("beta-vae", "beta-tcvae")
    ),
    Claim(
        "Progressive RF-VAE is insensitive to beta_0",
        "Progressive RF-VAE",
        f"MIG from beta_0 = 0.64, 6.4 and 64 differs by less than {MARGIN}",
        judge_starts,
    ),
    Claim(
        "DynamicVAE reconstructs better at equal disentanglement, with beta below 1 at the end",
        "DynamicVAE, Table 1",
        f"squared error below, MIG at most {MARGIN} below that of the best of eight fixed weights; last beta below 1",
        judge_dynamic,
    ),
    Claim(
        "ControlVAE holds its set point",
        "ControlVAE",
        "mean KL of the last fifth within 5 % of the target",
        judge_set_point,
    ),
    Claim(
        "RF-VAE finds the number of relevant latents",
        "RF-VAE",
        f"{FACTORS} of 10 latents have a relevance above 0.5, in most seeds",
        judge_relevance,
        ("dsprites",),
    ),
)


# --- the page ---------------------------------------------------------------------------------------------------------


def study(size: Size) -> dict[str, Any]:
    """Return the study of the claims: those runs of the board that they need, and others beside them."""
    shared = [method for method in board.OTHERS if method["name"] in NEEDED and "preset" not in method]
    return board.study(size, [*board.FIXED, *shared, *EXTRA])


def show(planned: Sequence[StudyRun]) -> Page:
    """Return the page of these runs. It is complete when no run is missing."""
    runs = Runs(planned)
    rows = [["claim", "data", "result", "power", "verdict"]]
    values, markdown, effects = [], [], []
    for claim in CLAIMS:
        findings = [claim.test(runs, data) for data in claim.data]
        verdict = overall([finding.verdict for finding in findings if finding is not None])
        markdown += [
            "",
            f"## {claim.statement}",
            "",
            f"{claim.source}. Test: {claim.protocol}. Verdict: **{verdict}**.",
            "",
        ]
        for data, finding in zip(claim.data, findings, strict=True):
            _, result, power, judgement, *_ = finding or (data, "runs are missing", "–", "–")
            rows.append([claim.statement, data, result, power, judgement])
            markdown.append(f"- {data}: {result}; {judgement}; power: {power}")
            if finding is not None and finding.mig is not None:
                effects.append(Effects(claim.statement, data, finding.verdict, finding.mig, finding.sse))
        json_findings = [finding and finding.values for finding in findings]
        values.append({"claim": claim.statement, "verdict": verdict, "findings": json_findings})
    finished = sum(run.record is not None for run in planned)
    summary = (
        f"{finished} of {len(planned)} runs are finished. Images of 32 x 32, {board.STEPS:,} steps, "
        f"{board.SEEDS} seeds, as on the board. Differences are means over seeds with 95 % intervals. Power: the "
        "difference whose interval is above 0 with a probability of 0.8, given the spread over these seeds. A claim is "
        "supported if it is supported on at least one data set and contradicted on none, and contradicted if it is "
        "contradicted on at least one and supported on none."
    )
    text = "\n".join([*tables.lines(rows), "", summary])
    figures = {"Differences in MIG and squared error with their intervals, by claim": draw(effects)} if effects else {}
    return Page("Claims", text, [summary, *markdown], {"claims": values}, finished == len(planned), figures)


def overall(verdicts: Sequence[Judgement]) -> Judgement:
    """Return the verdict on a claim from those on the data sets."""
    decided = set(verdicts) - {"undecided"}
    return decided.pop() if len(decided) == 1 else "undecided"


TABLE = Evidence(NAME, lambda size: [study(size)], lambda results, size: show(read(study(size), results)))
