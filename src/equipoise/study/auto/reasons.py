"""Why `auto` picked its model, in sentences that need no knowledge of the methods, and as a table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from equipoise.choice import duration
from equipoise.metrics import Score
from equipoise.report.sections.why import Choice, Row
from equipoise.study.auto.candidates import FIRST, Candidate, Contents
from equipoise.study.auto.ranking import DCI, DRAWS, Ranking
from equipoise.training import checkpoint

CLEAR, LIKELY = 0.9, 0.6  # confidence from which the choice is called so


def describe(
    contents: Contents,
    candidates: Sequence[Candidate],
    ranking: Ranking,
    scores: Mapping[str, Mapping[str, Score]],
    labels: int | None,
) -> Choice:
    """Return the sentences and the table for the report.

    Args:
        contents: the study file.
        candidates: all candidates.
        ranking: that of the finalists, with agreement and loss of all runs.
        scores: those by labels of each finalist; empty without labels.
        labels: number of images in the table of labels, if there is one.
    """
    seconds = {
        each.run: float(checkpoint.last_row(Path(each.config.out) / "log.jsonl").get("seconds", 0))
        for each in candidates
    }
    about = contents["auto"]
    migs = {run: each["mig"].value for run, each in scores.items() if each}
    labels_pick = max(migs, key=lambda run: migs[run], default=None)
    rows = [_row(each, ranking, scores.get(each.run, {}), seconds[each.run]) for each in candidates]
    rows.sort(key=lambda row: ranking.runs.index(row["run"]) if row["run"] in ranking.runs else len(ranking.runs))
    pick = next(row for row in rows if row["run"] == ranking.runs[0])
    names = {row["run"]: f"{row['recipe'] or 'the model'}, seed {row['seed']}".lstrip(", ") for row in rows}
    sentences = [
        _training(candidates, ranking, max(seconds.values())),
        *_method(rows, ranking, pick),
        *_loss(rows, names, pick),
        *_confidence(ranking),
        *_dropped(ranking, names),
        *_labels(pick, names, scores, labels_pick, labels),
        "Models can also agree on the same mistake, so look at the pictures of the latents: "
        "along a row, one property of the image should change and the others should stay.",
    ]
    return Choice(
        run=pick["run"],
        name=names[pick["run"]],
        sentences=sentences,
        rows=rows,
        confidence=ranking.confidence,
        labels_pick=labels_pick,
        share=sum(seconds.values()) / (about["workers"] * about["budget"]),
    )


def _row(candidate: Candidate, ranking: Ranking, scores: Mapping[str, Score], seconds: float) -> Row:
    run = candidate.run
    is_finalist = run in ranking.runs
    loss = ranking.loss.get(run)
    return Row(
        run=run,
        recipe=candidate.recipe or candidate.config.method.name,
        method=candidate.config.method.name,
        seed=candidate.config.train.seed,
        steps=candidate.config.train.steps if is_finalist else candidate.first,
        stage="trained to the end" if is_finalist else "stopped early" if run in ranking.loss else "failed",
        agreement=ranking.agreement.get(run),
        loss=loss if loss is not None and math.isfinite(loss) else None,
        active=ranking.active.get(run),
        mig=scores["mig"].value if scores else None,
        dci=scores[DCI].value if scores else None,
        seconds=round(seconds, 1),
    )


def _training(candidates: Sequence[Candidate], ranking: Ranking, longest: float) -> str:
    methods = len({each.config.method.name for each in candidates})
    ways = f"by {methods} methods and " if methods > 1 else ""
    stops = len(ranking.loss.keys() - set(ranking.runs))
    ends = "All were trained to the end"
    if stops:
        part = f"{stops} of them were stopped after {100 * FIRST:.0f} % of the training"
        ends = f"{part}; the others were trained to the end"
    return (
        f"{len(candidates)} models were trained on the same images, {ways}from different random starts. {ends}, for "
        f"{duration(longest)} each. No labels were used."
    )


def _method(rows: Sequence[Row], ranking: Ranking, pick: Row) -> list[str]:
    agreement: dict[str, float] = {}
    eligible = set(ranking.runs) - set(ranking.dropped)
    for row in (row for row in rows if row["run"] in eligible):
        agreement[row["method"]] = max(agreement.get(row["method"], 0.0), row["agreement"] or 0.0)
    others = [f"{name} {value:.2f}" for name, value in agreement.items() if name != pick["method"]]
    if not others:
        return []
    return [
        "The method was chosen by agreement: models that start from different random numbers agree on a latent when it "
        "is a property of the images, and rarely when it is chance. The best agreement of a model with the others, "
        "where 0 means no latent in common and 0.9 the same latents, is "
        f"{agreement[pick['method']]:.2f} for {pick['method']} ({', '.join(others)})."
    ]


def _loss(rows: Sequence[Row], names: Mapping[str, str], pick: Row) -> list[str]:
    alternatives = [
        row
        for row in rows
        if (row["method"], row["steps"]) == (pick["method"], pick["steps"])
        and row["loss"] is not None
        and row is not pick
    ]
    if not alternatives:
        return ["It is the only model of its method that was trained to the end."]
    if pick["loss"] is None:
        return ["Its loss is not finite, so it was not compared with the other models of its method."]
    return [
        "Among the models of one method, the one with the smallest loss was picked. The loss adds the error of the "
        f"reconstruction and the weighted size of the code. It is {pick['loss']:.2f} nats per image, and "
        f"{alternatives[0]['loss']:.2f} for {names[alternatives[0]['run']]}."
    ]


def _confidence(ranking: Ranking) -> list[str]:
    if len(ranking.agreement) < 3 or len(ranking.runs) - len(ranking.dropped) < 2:
        return []
    share = ranking.confidence
    verdict = "This does not support the choice, so look at the others too."
    if share >= LIKELY:
        verdict = "This supports the choice."
    if share >= CLEAR:
        verdict = "This clearly supports the choice."
    return [
        "Agreement of the latents with those of other models is a second sign. In "
        f"{100 * share:.0f} % of {DRAWS:,} comparisons with models drawn at random, it agrees best of the models "
        f"trained to the end. {verdict}"
    ]


def _dropped(ranking: Ranking, names: Mapping[str, str]) -> list[str]:
    if not ranking.dropped:
        return []
    if len(ranking.dropped) == len(ranking.runs):
        return [
            "All models that were trained to the end use no latent, or fewer than half as many as the others, so the "
            "pick means little. Give a longer budget."
        ]
    return [
        f"Not eligible, because they use fewer than half as many latents as the others: "
        f"{'; '.join(names[run] for run in ranking.dropped)}. A model that learned little agrees easily."
    ]


def _labels(
    pick: Row,
    names: Mapping[str, str],
    scores: Mapping[str, Mapping[str, Score]],
    labels_pick: str | None,
    labels: int | None,
) -> list[str]:
    if labels_pick is None:
        return []
    mig, dci = (scores[pick["run"]][name] for name in ("mig", DCI))
    spread = "" if mig.low is None else f" (95 % interval {mig.low:.2f} to {mig.high:.2f})"
    source = "the labels of the data set" if labels is None else f"your labels of {labels:,} images"
    text = (
        f"Compared with {source} afterwards, its MIG is {mig.value:.2f}{spread} and its DCI {dci.value:.2f}. "
        "Both are 1 when each labelled property has a latent of its own, and 0 when none has. "
    )
    if labels_pick == pick["run"]:
        return [f"{text}The labels would have picked the same model."]
    value = scores[labels_pick]["mig"].value
    return [f"{text}The labels would have picked {names[labels_pick]}, with a MIG of {value:.2f}."]
