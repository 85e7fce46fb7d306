"""report.html and report.md, from a run's JSON files and from nothing else."""

from __future__ import annotations

from pathlib import Path

from acula_edge.run import Run


def write_report(run: Run | str | Path) -> Path:
    """Write ``RUN/report.html``, one self-contained page, and ``RUN/report.md``.

    Stages that have not run are named as such; equal files give equal bytes.

    Returns:
        Path of the page.

    Raises:
        ArtifactError: the folder is no run, or a file in it is damaged or of another version.
        ManifestError: the list of recordings is damaged.
        MissingCapability: jinja2 is not installed.
    """
    from acula_edge.files import clear_partial_of, write_text
    from acula_edge.folder_lock import taking_turns
    from acula_edge.reporting.assembly import assemble
    from acula_edge.reporting.evidence import read_evidence
    from acula_edge.reporting.rendering import render_html, render_markdown
    from acula_edge.untrusted.json_file import showing

    run = run if isinstance(run, Run) else Run.open(run)
    page = run.path / "report.html"
    with showing(f"{run.path}: manifest.json or a JSON file of a bundle in export/"):
        document = assemble(read_evidence(run))
        html, markdown = render_html(document), render_markdown(document)
    # Not the run's lock: a training that runs may be looked at.
    with taking_turns(page.parent) as alone:
        for file, text in ((page.with_suffix(".md"), markdown), (page, html)):
            if alone:
                clear_partial_of(file)
            write_text(file, text)
    return page
