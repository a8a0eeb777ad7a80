"""The command ``bgdefect``. Every subcommand is a dataclass of options; its module is imported only
when it is asked for.

Exit codes: 0 done; 1 nothing good came out; 2 something to mend, said in one line; 130 stopped with
    Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
from tqdm import tqdm

from bgdefect_core.declarations import flat_values
from bgdefect_core.errors import BGDefectError, SettingError
from bgdefect_core.paths import check_path

from ..bases.versions import check_versions
from ..generation.summary import Summary

__all__ = ["main"]

Arguments = Sequence[str]
Options = TypeVar("Options")
_SHOWN = 20
_LOADS_NOTHING = ("inspect", "evaluate-summary")
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: Arguments | None = None) -> int:
    """Run one command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(given[:2]) if given[:1] == ["bench"] else " ".join(given[:1])
    if name in ("", "-h", "--help", "bench", "bench -h", "bench --help"):
        print(_overview(name.split()[0] if name.startswith("bench") else ""))
        return 2 if name in ("", "bench") else 0
    if name not in _COMMANDS:
        print(
            f"bgdefect: error: no command {name!r}; one of {', '.join(_COMMANDS)}", file=sys.stderr
        )
        return 2
    _configure()
    try:
        if name not in _LOADS_NOTHING:
            check_versions()
        return _COMMANDS[name][1](given[len(name.split()) :])
    except BGDefectError as error:
        print(f"bgdefect: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbgdefect: stopped; the same command goes on where it was", file=sys.stderr)
        return 130


def _overview(group: str) -> str:
    names = [name for name in _COMMANDS if name.startswith(group)]
    lines = [f"  {name:17} {_COMMANDS[name][0]}" for name in names]
    usage = f"usage: bgdefect {group + ' ' if group else ''}COMMAND [options]"
    return "\n".join(
        [usage, "", *lines, "", "bgdefect COMMAND --help lists the options of a command."]
    )


def _configure() -> None:
    """Our own messages on stderr, above the progress bars; nothing from the libraries but
    errors."""
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    warnings.simplefilter("ignore")
    handler = _Handler()
    handler.setFormatter(logging.Formatter("bgdefect: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for package in (__name__.split(".")[0], "bgdefect_core"):
        logging.getLogger(package).setLevel(logging.INFO)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def _parse(options: Callable[..., Options], name: str, arguments: Arguments) -> Options:
    parsed = tyro.cli(options, args=list(arguments), prog=f"bgdefect {name}")
    _check_paths(parsed)
    if name not in _LOADS_NOTHING:
        _hide_loading_bars()
    return parsed


def _check_paths(options: Any) -> None:
    """Refuse paths that cannot be any, before anything looks at them."""
    for name, value in flat_values(options).items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) or (name == "base" and path):
                check_path(Path(path), SettingError)


def _hide_loading_bars() -> None:
    """Turn the libraries' own bars off ("Loading weights"): they break into ours. Not every version
    heeds the variables of ``_QUIET``."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()


def _say(*lines: str) -> None:
    """Print, from one process of several."""
    if os.environ.get("RANK", "0") == "0":
        print("\n".join(lines))


def _train(arguments: Arguments) -> int:
    from ..training.config import TrainConfig

    config = _parse(TrainConfig, "train", arguments)
    from ..training.train import train

    _say(f"weights: {train(config)}")
    return 0


def _generate(arguments: Arguments) -> int:
    from ..generation.config import GenerateConfig

    config = _parse(GenerateConfig, "generate", arguments)
    from ..generation.generate import generate

    return _report(generate(config))


def _inspect(arguments: Arguments) -> int:
    from .inspect_file import InspectConfig, describe

    _say(describe(_parse(InspectConfig, "inspect", arguments).file))
    return 0


def _bench_train(arguments: Arguments) -> int:
    from ..lab.bench import BenchTrainConfig, bench_train

    bench_train(_parse(BenchTrainConfig, "bench train", arguments))
    return 0


def _bench_generate(arguments: Arguments) -> int:
    from ..lab.bench import BenchGenerateConfig, bench_generate

    bench_generate(_parse(BenchGenerateConfig, "bench generate", arguments))
    return 0


def _demo(arguments: Arguments) -> int:
    from ..recipes.demo_config import DemoConfig

    config = _parse(DemoConfig, "demo", arguments)
    from ..recipes.demo import demo

    return _report(demo(config))


def _results(arguments: Arguments) -> int:
    from ..lab.results import ResultsConfig, results

    _say(results(_parse(ResultsConfig, "results", arguments)))
    return 0


def _pretrain(arguments: Arguments) -> int:
    from ..pretrain.run import PretrainConfig, pretrain

    config = _parse(PretrainConfig, "pretrain", arguments)
    pretrain(config)
    _say(f"base: {config.output}")
    return 0


def _evaluate(arguments: Arguments) -> int:
    from ..evaluate.command import take_file, tell
    from ..evaluate.config import EvaluateConfig

    default, rest = take_file(arguments)
    if default is None:
        config = _parse(EvaluateConfig, "evaluate", rest)
    else:
        _hide_loading_bars()
        config = tyro.cli(EvaluateConfig, default=default, args=rest, prog="bgdefect evaluate")
        _check_paths(config)
    from ..evaluate.run import evaluate

    _say(*tell(evaluate(config, _say)))
    return 0


def _evaluate_summary(arguments: Arguments) -> int:
    from ..evaluate.report.evidence import SummaryConfig, evaluate_summary

    _say(evaluate_summary(_parse(SummaryConfig, "evaluate-summary", arguments)).rstrip())
    return 0


def _evaluate_base(arguments: Arguments) -> int:
    from ..pretrain.evaluate_base import EvaluateBaseConfig, evaluate_base, report

    _say(report(evaluate_base(_parse(EvaluateBaseConfig, "evaluate-base", arguments))))
    return 0


def _calibrate(arguments: Arguments) -> int:
    from ..lab.calibrate import CalibrateConfig, calibrate, report

    _say(report(calibrate(_parse(CalibrateConfig, "calibrate", arguments))))
    return 0


def _report(summary: Summary) -> int:
    """Print what came of a run; 1 where a run made no good sample at all."""
    minutes, seconds = divmod(round(summary.seconds), 60)
    if summary.dry_run:
        there = f"; {summary.done} are there already" if summary.done else ""
        lines = [f"{summary.accepted} of {summary.wanted} samples can be made{there}"]
        lines.append(
            f"their first attempts take about {minutes} min {seconds} s; retries of rejected ones come on top"
        )
    else:
        lines = [
            f"{summary.accepted} of {summary.wanted} samples are good, in {minutes} min {seconds} s: {summary.root}"
        ]
        failed = [
            f"  {item.index:05d}: {', then '.join(item.reasons)}" for item in summary.rejected
        ]
        lines += _listed(
            f"{len(failed)} samples were rejected in every attempt:", failed, ", in the manifest"
        )
    if summary.unmade:
        lines.append(
            f"{summary.unmade} samples have no mask: none could be placed on their picture"
        )
    lines += _listed("masks that could not be placed:", [f"  {line}" for line in summary.unplaced])
    if summary.sheet and summary.page:
        lines += [f"contact sheet: {summary.sheet}", f"page:          {summary.page}"]
    if summary.dry_run:
        lines.append("nothing was written")
    _say(*lines)
    return 0 if summary.dry_run or summary.accepted else 1


def _listed(title: str, lines: Sequence[str], where: str = "") -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - _SHOWN} more{where}"] if len(lines) > _SHOWN else []
    return [title, *lines[:_SHOWN], *more]


_COMMANDS: dict[str, tuple[str, Callable[[Arguments], int]]] = {
    "train": ("learn one defect class from a handful of pictures with masks", _train),
    "generate": ("paint a trained defect into good pictures: a data set with labels", _generate),
    "inspect": ("print what a class weights file says about itself", _inspect),
    "evaluate": ("measure realism, masks and what detectors gain, with error bars", _evaluate),
    "evaluate-summary": (
        "the results of evaluations as Markdown tables, with the goals",
        _evaluate_summary,
    ),
    "demo": ("the whole way on your pictures or on shipped textures, in minutes", _demo),
    "results": ("the figures of docs/results.md", _results),
    "bench train": ("cost of one training iteration against the bare U-Net", _bench_train),
    "bench generate": ("cost of generation against the bare U-Net", _bench_generate),
    "pretrain": ("train the embedded base anew, from a seed", _pretrain),
    "evaluate-base": ("measure a base on real and drawn pictures", _evaluate_base),
    "calibrate": ("what the label's threshold and the verdict's limits rest on", _calibrate),
}
