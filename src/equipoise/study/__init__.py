"""Studies: many runs described by one file, on one machine or many. A study resumes after any interruption."""

from equipoise.study.folder import one_run, open_study, read
from equipoise.study.plan import Plan, Study
from equipoise.study.run.status import State
from equipoise.study.run.sweep import sweep

__all__ = ["Plan", "State", "Study", "one_run", "open_study", "read", "sweep"]
