"""A study of short runs, as in the tests of studies."""

from tests.study.conftest import drawn, here  # noqa: F401
