"""Searches: Optuna proposes settings, and the runs of a study evaluate them."""
