"""Running a study: engines, claims, status and the `sweep` and `status` commands."""
