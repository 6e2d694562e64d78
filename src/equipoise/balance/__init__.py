"""Balances: rules for the weights of the terms."""

from equipoise.balance.adaptive import AccuracyCapacity, AccuracyFeedback, Relevance
from equipoise.balance.contract import Balance, Joint, Seen, Weights
from equipoise.balance.controllers import PI, IncrementalPI
from equipoise.balance.descent import Descent
from equipoise.balance.error_bound import ErrorBound
from equipoise.balance.fixed import Capacity, Fixed, WarmUp
from equipoise.balance.learned import ClosedFormWeights, LearnedWeights
from equipoise.balance.schedule import Schedule
from equipoise.balance.set_point import SetPoint
from equipoise.balance.two_groups import TwoGroups

BALANCES: dict[str, type[Balance]] = {
    part.name: part
    for part in (
        Fixed,
        WarmUp,
        Schedule,
        Descent,
        Capacity,
        PI,
        IncrementalPI,
        ErrorBound,
        LearnedWeights,
        ClosedFormWeights,
        AccuracyFeedback,
        AccuracyCapacity,
        Relevance,
        TwoGroups,
    )
}
"""Every balance by name."""

__all__ = [
    "BALANCES",
    "PI",
    "AccuracyCapacity",
    "AccuracyFeedback",
    "Balance",
    "Capacity",
    "ClosedFormWeights",
    "Descent",
    "ErrorBound",
    "Fixed",
    "IncrementalPI",
    "Joint",
    "LearnedWeights",
    "Relevance",
    "Schedule",
    "Seen",
    "SetPoint",
    "TwoGroups",
    "WarmUp",
    "Weights",
]
