"""Published sets converted to the memory-mapped form: a module with a function `convert` for each format."""
