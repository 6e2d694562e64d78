"""The order of names with numbers in them."""

import re


def natural(text: str) -> str:
    """Sort key: runs of digits by their number, so that step 2 precedes step 10.

    The key is a text, since lists of words and numbers take ten times the memory: a number becomes the count of its
    digits, followed by them. The beginning of a number sorts before any letter.
    """

    def key(run: re.Match[str]) -> str:
        digits = run[0] if run[0].isascii() else "".join(str(int(digit)) for digit in run[0])  # digits of any script
        number = digits.lstrip("0") or "0"
        return f"\1{chr(len(number))}{number}"

    return re.sub(r"\d+", key, text)
