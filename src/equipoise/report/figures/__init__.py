"""The figures of the report: their common style, their files, and a module for each kind."""
