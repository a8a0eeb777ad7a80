"""``bgdefect generate``: paint a trained defect into many good pictures, and write the data set.

Set up, paint chunk by chunk, write the page. Everything follows from the seed, the sample's index,
the attempt, and the verdicts.
"""

from __future__ import annotations

import time
from dataclasses import replace

from bgdefect_core.records.apply_decisions import apply_decisions
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.decisions import REVIEW

from .chunks import paint_chunks
from .config import GenerateConfig
from .dry_run import dry_run
from .exports import export_accepted
from .page import write_page
from .setup import choice_file, set_up
from .sources import ExampleSources
from .summary import Summary, summarise


def generate(config: GenerateConfig, examples: ExampleSources | None = None) -> Summary:
    """Make the data set, or resume it.

    Args:
        config: settings of the run.
        examples: good pictures and real defects, in place of the settings' folders.

    Raises:
        BGDefectError: whatever the user can mend, of any kind; all but a full disk before anything
            is written.
    """
    started = time.monotonic()
    run = set_up(config, examples)
    if config.dry_run:
        return dry_run(run)
    folder = extras_folder(run.output, run.object, run.defect)
    if run.replace_rejected and (folder / REVIEW).is_file():
        apply_decisions(run.output, run.object, run.defect)
    with DatasetWriter(
        run.output,
        run.object,
        run.defect,
        run.record,
        inputs=run.inputs,
        made_with=run.made_with,
        white=run.pairs.white,
        image_format=config.image_format,
    ) as writer:
        run.pairs.remember(choice_file(run))
        paint_chunks(run, writer)
        records = writer.standing
    summary = summarise(
        run.output,
        run.plan.count,
        records,
        [pair.origin for pair in run.without_mask],
        run.pairs.left_out(),
    )
    summary = conclude(config, run.object, run.defect, summary)
    return replace(summary, seconds=time.monotonic() - started)


def conclude(config: GenerateConfig, object: str, defect: str, summary: Summary) -> Summary:
    """Write the page of a finished run, and its samples in other formats; returns the summary with
    the page.

    Args:
        object, defect: names in the data set.
    """
    root = summary.root
    has_samples = summary.wanted > summary.unmade
    sheet, page = write_page(root, object, defect) if has_samples else (None, None)
    if summary.accepted:
        export_accepted(root, object, defect, config.format, config.val_share, config.seed)
    return replace(summary, sheet=sheet, page=page)
