"""The report of a run: `report.html`, one file that loads nothing, and its figures in `pictures/`."""

from itertools import chain
from pathlib import Path

from equipoise.files import write_bytes, write_text
from equipoise.report.findings import analyse
from equipoise.report.html import template
from equipoise.report.remarks import batch_size, remarks
from equipoise.report.sections import SECTIONS, File, Picture
from equipoise.report.sentences import counted, form, lead, one_of
from equipoise.scoring import Run


def write(run: Run) -> Path:
    """Write `report.html` and `pictures/` to the folder of a run.

    Each entry of `SECTIONS` gives one section, in this order. A section or figure for which the run has no data, such
    as factors, scores or a log, is left out.

    Args:
        run: A run that is encoded, for example the result of `eq.train` or `eq.open_run`.

    Returns:
        The path of `report.html`.

    Example:
        >>> import equipoise as eq
        >>> eq.report.write(eq.open_run("runs/first")).name
        'report.html'
    """
    findings = analyse(run)
    contents = {section: section.blocks(run, findings) for section in SECTIONS}
    page = template("report/page.html").render(
        title=run.path.resolve().name,
        run=run,
        findings=findings,
        lead=lead(run, findings),
        form=form(run.images),
        one=one_of(run),
        counted=counted,
        batch=batch_size(run),
        warnings=[remark.sentence for remark in remarks(run, findings) if remark.flag is not None],
        sections={section: blocks for section, blocks in contents.items() if blocks},
    )
    for block in chain.from_iterable(contents.values()):
        if isinstance(block, Picture | File):
            file = block.file if isinstance(block, Picture) else block
            write_bytes(run.results / "pictures" / file.name, file.content, within=run.path)
    path = run.results / "report.html"
    write_text(path, page, within=run.path)
    return path
