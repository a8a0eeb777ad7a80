"""The commands of ``bgdefect``: one record each. A new command is one more record.

Places are written ``module:name``, the module relative to the trainer. They are imported only when
the command runs: a help text needs no networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bgdefect_core.declarations import Registry


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    summary: str
    settings: str
    """Place of the class of its settings."""
    run: str
    """Place of the function that does the work: settings -> result."""
    show: str = "{}"
    """What is printed of the result: a text with {} in its place, or the place of a function
    result -> text or lines."""
    says: bool = False
    """Whether ``run`` takes a second argument that prints lines before the work begins."""
    exit_code: str = ""
    """Place of a function result -> exit code; without one it is 0."""
    read: str = ""
    """Place of a function arguments -> (default settings or None, other arguments)."""
    loads_networks: bool = True

    def shown(self, result: Any) -> str:
        """What is printed of the result."""
        if "{}" in self.show:
            return self.show.format(result).rstrip()
        text = load(self.show)(result)
        return "\n".join(text) if isinstance(text, list) else str(text)


COMMANDS = Registry(
    "command",
    Command(
        "train",
        "learn one defect class from a handful of pictures with masks",
        "training.config:TrainConfig",
        "training.train:train",
        show="weights: {}",
    ),
    Command(
        "generate",
        "paint a trained defect into good pictures: a data set with labels",
        "generation.config:GenerateConfig",
        "generation.generate:generate",
        show="generation.summary:report",
        exit_code="generation.summary:exit_code",
    ),
    Command(
        "campaign",
        "learn and paint many classes by one plan, here or on many machines",
        "campaign.config:CampaignConfig",
        "campaign.run:campaign",
        show="campaign.run:tell",
        says=True,
        exit_code="campaign.run:exit_code",
    ),
    Command(
        "review",
        "a local page to look through a data set: accept, reject, mend labels",
        "review.config:ReviewConfig",
        "generation.review_command:review",
        says=True,
        loads_networks=False,
    ),
    Command(
        "data check",
        "what a data set holds, what is odd, what each class can be used for",
        "data.check:CheckConfig",
        "data.check:check",
        show="data.check:lines",
        loads_networks=False,
    ),
    Command(
        "data convert",
        "write a data set as COCO, YOLO, LabelMe, MVTec AD or csv",
        "data.convert:ConvertConfig",
        "data.convert:convert",
        loads_networks=False,
    ),
    Command(
        "data propose",
        "where the defect may lie in bad pictures without masks, for a person to confirm",
        "evaluate.proposals.config:ProposeConfig",
        "evaluate.proposals.command:propose",
    ),
    Command(
        "inspect",
        "print what a class weights file says about itself",
        "cli.inspect_file:InspectConfig",
        "cli.inspect_file:inspect",
        loads_networks=False,
    ),
    Command(
        "evaluate",
        "measure realism, masks and what detectors gain, with error bars",
        "evaluate.config:EvaluateConfig",
        "evaluate.command:measure",
        show="evaluate.command:tell",
        says=True,
        read="evaluate.command:take_file",
    ),
    Command(
        "misses",
        "which known defects detectors miss when they are held out in turn; whether samples help",
        "evaluate.misses.settings:MissesConfig",
        "evaluate.misses.run:misses",
        show="evaluate.misses.run:tell",
        exit_code="evaluate.misses.run:exit_code",
    ),
    Command(
        "evaluate-summary",
        "the results of evaluations as Markdown tables, with the goals",
        "evaluate.report.evidence:SummaryConfig",
        "evaluate.report.evidence:evaluate_summary",
        loads_networks=False,
    ),
    Command(
        "demo",
        "the whole way on your pictures or on shipped textures, in minutes",
        "recipes.demo_config:DemoConfig",
        "recipes.demo:demo",
        show="generation.summary:report",
        exit_code="generation.summary:exit_code",
    ),
    Command(
        "results",
        "the figures of docs/results.md",
        "lab.results:ResultsConfig",
        "lab.results:results",
    ),
    Command(
        "bench train",
        "cost of one training iteration against the bare U-Net",
        "lab.bench_train:BenchTrainConfig",
        "lab.bench_train:bench_train",
    ),
    Command(
        "bench sampling",
        "cost of sampling against the bare U-Net",
        "lab.bench_sampling:BenchSamplingConfig",
        "lab.bench_sampling:bench_sampling",
    ),
    Command(
        "bench generate",
        "whole runs with the first release's settings and today's defaults",
        "lab.bench_generate:BenchGenerateConfig",
        "lab.bench_generate:bench_generate",
    ),
    Command(
        "bench campaign",
        "what Ray costs over one process, and a campaign of any size on paper",
        "lab.bench_campaign:BenchCampaignConfig",
        "lab.bench_campaign:bench_campaign",
        loads_networks=False,
    ),
    Command(
        "bench precision",
        "how far samples in bf16 lie from the same samples in fp32",
        "lab.bench_precision:BenchPrecisionConfig",
        "lab.bench_precision:bench_precision",
    ),
    Command(
        "bench gpu",
        "CUDA tests, cost and agreement on a GPU, in parts that resume",
        "lab.gpu_check:GpuCheckConfig",
        "lab.gpu_check:gpu_check",
        says=True,
    ),
    Command(
        "bench placement",
        "cost of choosing pictures for masks, and agreement with a full search",
        "lab.bench_placement:BenchPlacementConfig",
        "lab.bench_placement:bench_placement",
        loads_networks=False,
    ),
    Command(
        "bench boxes",
        "how near the masks that training makes of boxes come to human masks",
        "lab.bench_boxes:BenchBoxesConfig",
        "lab.bench_boxes:bench_boxes",
        show="lab.bench_boxes:boxes_table",
    ),
    Command(
        "bench proposals",
        "whether the regions that data propose finds show the defects that people drew",
        "lab.bench_proposals:BenchProposalsConfig",
        "lab.bench_proposals:bench_proposals",
        show="lab.bench_proposals:proposals_table",
    ),
    Command(
        "pretrain",
        "train the embedded base anew, from a seed",
        "pretrain.run:PretrainConfig",
        "pretrain.run:pretrain",
        show="base: {}",
    ),
    Command(
        "evaluate-base",
        "measure a base on real and drawn pictures",
        "pretrain.evaluate_base:EvaluateBaseConfig",
        "pretrain.evaluate_base:evaluate_base",
        show="pretrain.evaluate_base:report",
    ),
    Command(
        "calibrate",
        "what the label's threshold and the verdict's limits rest on",
        "lab.calibrate:CalibrateConfig",
        "lab.calibrate:calibrate",
        show="lab.calibrate:report",
    ),
)


GROUPS = frozenset(name.split()[0] for name in COMMANDS if " " in name)
"""First words of the commands that have two."""


def load(place: str) -> Callable[..., Any]:
    """The class or function at a place."""
    module, _, name = place.partition(":")
    trainer = __name__.rsplit(".", 2)[0]
    attribute: Callable[..., Any] = getattr(import_module(f"{trainer}.{module}"), name)
    return attribute
