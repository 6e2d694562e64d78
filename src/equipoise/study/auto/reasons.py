"""Why `auto` picked its model, in sentences for people who have never heard of beta, and as a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from equipoise.choice import duration
from equipoise.metrics import Score
from equipoise.report.sections.why import Choice, Row
from equipoise.study.auto.candidates import Candidate, Contents
from equipoise.study.auto.ranking import DCI, Ranking
from equipoise.training import checkpoint

CLEAR, LIKELY = 0.9, 0.6  # confidence from which the choice is called so


def describe(
    contents: Contents,
    candidates: Sequence[Candidate],
    first: Mapping[str, float],
    ranking: Ranking,
    scores: Mapping[str, Mapping[str, Score]],
    labels: int | None,
) -> Choice:
    """Return the sentences and the table for the report.

    Args:
        contents: the study file.
        candidates: all candidates.
        first: agreement of each run after the first stage.
        ranking: that of the finalists.
        scores: those by labels of each finalist; empty without labels.
        labels: number of images in the table of labels, if there is one.
    """
    seconds = {
        each.run: float(checkpoint.last_row(Path(each.config.out) / "log.jsonl").get("seconds", 0))
        for each in candidates
    }
    about = contents["auto"]
    best = ranking.runs[0]
    migs = {run: each["mig"].value for run, each in scores.items() if each}
    rows = [_row(each, first, ranking, scores.get(each.run, {}), seconds[each.run]) for each in candidates]
    rows.sort(key=lambda row: ranking.runs.index(row["run"]) if row["run"] in ranking.runs else len(ranking.runs))
    names = {row["run"]: f"{row['recipe'] or 'the model'}, seed {row['seed']}".lstrip(", ") for row in rows}
    sentences = [
        _training(candidates, ranking, max(seconds.values())),
        _agreement(ranking),
        *_confidence(ranking, names),
        *_dropped(ranking, names),
        *_labels(ranking, names, scores, migs, labels),
        "Models can also agree on the same mistake, so look at the pictures of the latents: "
        "along a row, one property of the image should change and the others should stay.",
    ]
    return Choice(
        run=best,
        name=names[best],
        sentences=sentences,
        rows=rows,
        confidence=ranking.confidence,
        labels_pick=max(migs, key=lambda run: migs[run]) if migs else None,
        share=sum(seconds.values()) / (about["workers"] * about["budget"]),
    )


def _row(
    candidate: Candidate, first: Mapping[str, float], ranking: Ranking, scores: Mapping[str, Score], seconds: float
) -> Row:
    run = candidate.run
    is_finalist = run in ranking.agreement
    return Row(
        run=run,
        recipe=candidate.recipe or candidate.config.method.name,
        seed=candidate.config.train.seed,
        steps=candidate.config.train.steps if is_finalist else candidate.first,
        stage="trained to the end" if is_finalist else "stopped after a quarter" if run in first else "failed",
        agreement=ranking.agreement.get(run, first.get(run)),
        active=ranking.active.get(run),
        mig=scores["mig"].value if scores else None,
        dci=scores[DCI].value if scores else None,
        seconds=round(seconds, 1),
    )


def _training(candidates: Sequence[Candidate], ranking: Ranking, longest: float) -> str:
    recipes = len({each.recipe for each in candidates})
    ways = f"by {recipes} methods and " if recipes > 1 else ""
    return (
        f"{len(candidates)} models were trained on the same images, {ways}from different random starts. After a "
        f"quarter of the training the half that agreed least with the others was stopped; {len(ranking.runs)} models "
        f"were trained to the end, for {duration(longest)} each."
    )


def _agreement(ranking: Ranking) -> str:
    values = [ranking.agreement[run] for run in ranking.runs]
    if len(values) == 1:
        return "It is the only one that was finished, so it could not be compared with others."
    return (
        "No labels were used. Models that start from different random numbers agree on a latent when it is a property "
        "of the images, and rarely when it is chance. This model agrees best with the others: "
        f"{values[0]:.2f}, where 0 means no latent in common and 0.9 the same latents. The next one has "
        f"{values[1]:.2f}, the last one {values[-1]:.2f}."
    )


def _confidence(ranking: Ranking, names: Mapping[str, str]) -> list[str]:
    if len(ranking.runs) < 2:
        return []
    share, second = ranking.confidence, names[ranking.runs[1]]
    verdict = f"The choice is close: {second}, is about as good"
    if share >= LIKELY:
        verdict = f"The choice is likely but not certain; the second is {second}"
    if share >= CLEAR:
        verdict = "The choice is clear"
    return [
        f"{verdict}. The picked model comes first in {100 * share:.0f} % of 2,000 comparisons with models drawn at "
        "random from the others."
    ]


def _dropped(ranking: Ranking, names: Mapping[str, str]) -> list[str]:
    if len(ranking.dropped) == 0:
        return []
    return [
        f"Not eligible, because they use fewer than half as many latents as the others: "
        f"{'; '.join(names[run] for run in ranking.dropped)}. A model that learned little agrees easily."
    ]


def _labels(
    ranking: Ranking,
    names: Mapping[str, str],
    scores: Mapping[str, Mapping[str, Score]],
    migs: Mapping[str, float],
    labels: int | None,
) -> list[str]:
    if not migs:
        return []
    best, other = ranking.runs[0], max(migs, key=lambda run: migs[run])
    mine = scores[best]["mig"]
    spread = "" if mine.low is None else f" (95 % interval {mine.low:.2f} to {mine.high:.2f})"
    source = "the labels of the data set" if labels is None else f"your labels of {labels:,} images"
    text = (
        f"Compared with {source} afterwards, its MIG is {migs[best]:.2f}{spread} and its DCI "
        f"{scores[best][DCI].value:.2f}. "
        "Both are 1 when each labelled property has a latent of its own, and 0 when none has. "
    )
    if other == best:
        return [f"{text}The labels would have picked the same model."]
    return [f"{text}The labels would have picked {names[other]}, with a MIG of {migs[other]:.2f}."]
