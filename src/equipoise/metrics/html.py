"""Tables for notebooks."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table; cells are escaped, numbers have four significant digits, and None is a dash."""
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in header)
    body = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row))) for row in rows)
    return str(Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body))


def _cell(value: object) -> Markup:
    text = "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return Markup("<td>{}</td>").format(text)
