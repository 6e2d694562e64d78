"""Tables of evidence: studies of this project whose results the documentation shows."""

from equipoise.study.evidence import board, claims, no_collapse, picking, tuning_regret
from equipoise.study.evidence.table import Evidence

EVIDENCE: dict[str, Evidence] = {
    table.name: table for table in (board.TABLE, claims.TABLE, picking.TABLE, tuning_regret.TABLE, no_collapse.TABLE)
}
"""Every table of evidence by name."""
