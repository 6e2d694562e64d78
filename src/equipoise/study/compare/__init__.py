"""Comparing the finished runs of a study: statistics, tables, the page, and selection without labels."""
