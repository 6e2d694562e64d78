"""The sections of the report, one module each. A new section is one module and one entry in `SECTIONS`."""

from equipoise.report.sections.code_map import code_map
from equipoise.report.sections.columns import columns
from equipoise.report.sections.factors import factors
from equipoise.report.sections.images import reconstructions, samples
from equipoise.report.sections.learned import learned
from equipoise.report.sections.rates import trade_off
from equipoise.report.sections.scores import scores
from equipoise.report.sections.section import Block, File, Picture, Section
from equipoise.report.sections.settings import settings
from equipoise.report.sections.training import training
from equipoise.report.sections.why import why

SECTIONS = [
    Section("learned", "What the model learned", learned),
    Section("why", "Why this model", why),
    Section("rates", "The trade-off over β", trade_off),
    Section("factors", "Latents and factors", factors),
    Section("map", "A map of the codes", code_map),
    Section("columns", "Columns", columns),
    Section("images", "Reconstructions", reconstructions),
    Section("samples", "Samples", samples),
    Section("training", "Training", training),
    Section("scores", "Scores", scores),
    Section("settings", "Settings", settings),
]

__all__ = ["SECTIONS", "Block", "File", "Picture", "Section"]
