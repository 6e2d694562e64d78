"""Published tables and figures: the protocol of each as a study, and what it reports beside what we get."""

from equipoise.study.published.controllers import dynamic, setpoint
from equipoise.study.published.isa import figure_5
from equipoise.study.published.lvae import figure_2, table_2, table_3
from equipoise.study.published.paper import Published
from equipoise.study.published.progressive import robustness

TABLES: dict[str, Published] = {
    table.name: table for table in (table_2, table_3, figure_2, figure_5, robustness, dynamic, setpoint)
}
