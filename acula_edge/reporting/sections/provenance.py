"""What made these figures: recipe, commit, versions, and the hash of every file."""

from __future__ import annotations

from acula_edge.reporting.document import Block, Cell, Column, Facts, Notice, Section, Table
from acula_edge.reporting.evidence import Evidence
from acula_edge.reporting.numbers import MISSING, duration


def provenance_section(evidence: Evidence) -> Section:
    """Recipe fingerprint, commit, versions, stages and files."""
    manifest = evidence.manifest
    made: dict[str, object] = manifest.get("provenance") or {}
    fingerprint = evidence.recipe.fingerprint()
    packages = made.get("packages")
    versions = (
        ", ".join(f"{name} {version}" for name, version in packages.items()) if isinstance(packages, dict) else ""
    )
    items = [
        ("Recipe", evidence.recipe.name),
        ("Recipe's SHA-256", fingerprint),
        ("Seed", str(evidence.recipe.seed)),
        ("Commit", str(made.get("commit") or "not a checkout")),
        ("Python", str(made.get("python") or "")),
        ("Platform", str(made.get("platform") or "")),
        ("Packages", versions),
    ]
    blocks: list[Block] = []
    recorded = manifest.get("recipe_sha256")
    if recorded and recorded != fingerprint:
        blocks.append(
            Notice("recipe.yaml was changed after the last stage: it is not the recipe that made this run.", "bad")
        )
    if str(made.get("commit") or "").endswith("-dirty"):
        blocks.append(Notice("The code held changes that were not committed: the commit does not tell all.", "quiet"))
    blocks.append(Facts([(term, text) for term, text in items if text]))
    if evidence.stages:
        columns = [Column("Stage"), Column("Finished"), Column("Took", numeric=True), Column("Weights' SHA-256")]
        rows = [
            [
                Cell(name),
                Cell(str(stage.get("finished") or MISSING)),
                Cell(duration(stage.get("seconds"))),
                Cell(str(stage.get("sha256") or MISSING), tone="code"),
            ]
            for name, stage in evidence.stages.items()
        ]
        blocks.append(Table("Finished stages", columns, rows))
    for bundle in evidence.bundles:
        files = [[Cell(name), Cell(digest, tone="code")] for name, digest in sorted(bundle.facts.files.items())]
        if files:
            blocks.append(Table(f"Files of {bundle.name}", [Column("File"), Column("SHA-256")], files))
    return Section("provenance", "Provenance", blocks)
