"""Balances: who sets the weights of the terms.

A balance maps what was seen in a step to weights, `seen -> {term: weight}`, [] or [D]; a term it does not name has
weight 1. `seen` holds the batch mean of every term, detached ([] or [D], nats per image), `step` (1 for the first),
`progress` (the share of the schedule that is over, 0 to 1) and, where there is an adversary, its `accuracy` in the step
before. What a balance learns is a parameter, what it remembers a buffer, which moves once per training step and never
in evaluation; no Python number is read from a tensor in a step.
"""

from equipoise.balance.adaptive import AccuracyCapacity, AccuracyFeedback, Relevance
from equipoise.balance.contract import Balance, Flag, Joint, Remark, Seen, Weights
from equipoise.balance.controllers import PI, IncrementalPI, SetPoint
from equipoise.balance.fixed import Capacity, Fixed, WarmUp
from equipoise.balance.learned import ClosedFormWeights, LearnedWeights

__all__ = [
    "PI",
    "AccuracyCapacity",
    "AccuracyFeedback",
    "Balance",
    "Capacity",
    "ClosedFormWeights",
    "Fixed",
    "Flag",
    "IncrementalPI",
    "Joint",
    "LearnedWeights",
    "Relevance",
    "Remark",
    "Seen",
    "SetPoint",
    "WarmUp",
    "Weights",
]
