"""``bgdefect bench gpu`` (``make gpu-check``): what the package does on a GPU, in resumable parts.

Each measurement is written as soon as it is done; the same command goes on with what is missing.
Nothing is installed and nothing fetched. Without a GPU every part is skipped by its name.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.files import atomic_write

from ..bases.versions import library_versions
from .gpu_work import GpuResult, GpuTask, measure

_TESTS = Path(__file__).parents[2] / "tests" / "trainer" / "test_cuda.py"
_TESTS_PART = "tests"
_SIDES = {"sd1": 512, "sd2": 768, "sdxl": 1024}
_TINY_SIDE = 128
_TABLE = re.compile(r"(<!-- gpu-check -->\n).*?(<!-- end of gpu-check -->)", re.DOTALL)
_HEAD = ("what", "base", "pixels", "precision", "batch", "seconds", "peak, GB", "difference")


def _train_tasks(family: str) -> list[GpuTask]:
    plain = GpuTask("train", family, _SIDES[family], "bf16", lora_rank=8)
    small = replace(plain, resolution=512)
    tasks = [replace(small, precision=precision) for precision in ("fp32", "bf16", "fp16")]
    tasks += [replace(small, batch=4), replace(small, batch=4, checkpointing=True)]
    tasks += [replace(small, lora_rank=0), replace(small, lora_rank=0, checkpointing=True)]
    if plain != small:
        tasks += [plain, replace(plain, checkpointing=True)]
        tasks.append(replace(plain, batch=4, checkpointing=True))
    return tasks


def _paint_tasks(family: str) -> list[GpuTask]:
    plain = GpuTask("paint", family, _SIDES[family], "bf16")
    tasks: list[GpuTask] = []
    for batch in (1, 4, 16, 64):
        tasks.append(replace(plain, batch=batch))
    for precision in ("fp16", "fp32"):
        for batch in (1, 16):
            tasks.append(replace(plain, precision=precision, batch=batch))
    tasks.append(replace(plain, batch=4, compiled=True))
    for precision in ("bf16", "fp32"):
        tasks.append(replace(plain, kind="code", precision=precision, batch=4))
    return tasks


def _agree_tasks(family: str) -> list[GpuTask]:
    plain = GpuTask("agree", family, 256, "fp32")
    return [replace(plain, precision=precision) for precision in ("fp32", "bf16", "fp16")]


def _parts() -> dict[str, list[GpuTask]]:
    parts: dict[str, list[GpuTask]] = {}
    for kind, tasks in (("train", _train_tasks), ("paint", _paint_tasks), ("agree", _agree_tasks)):
        for family in _SIDES:
            parts[f"{kind}-{family}"] = tasks(family)
    return parts


PARTS: Mapping[str, Sequence[GpuTask]] = _parts()
"""The measurements by parts; before them stand the CUDA tests of a checkout."""
NAMES = (_TESTS_PART, *PARTS)


@dataclass(frozen=True)
class GpuCheckConfig:
    """CUDA tests, cost of training and painting on networks of Stable Diffusion's sizes with random
    weights, and agreement with the CPU."""

    output: Annotated[Path, Doc("Folder of the results; the same command resumes.")] = Path(
        "runs/gpu-check"
    )
    page: Annotated[Path | None, Doc("Page in which the table is written between its markers.")] = (
        None
    )
    parts: Annotated[tuple[str, ...], Doc("Parts: " + ", ".join(NAMES) + ". Default: all.")] = NAMES
    minutes: Annotated[
        float, Range(0.01, 600), Doc("No measurement of a part begins after this time.")
    ] = 7.0
    device: Annotated[
        Literal["cuda", "cpu"], Doc("cpu: only with small networks, to try the code.")
    ] = "cuda"
    tiny: Annotated[bool, Doc("Small networks; their figures say nothing.")] = False

    def check(self) -> None:
        """Raise SettingError where a value cannot be."""
        check_settings(self)
        for part in self.parts:
            if part not in NAMES:
                raise SettingError(f"the part {part!r}", ", ".join(NAMES), "choose from these")
        if self.device == "cpu" and not self.tiny:
            raise SettingError("full networks on a CPU", "--tiny with it", "add --tiny")
        if self.tiny and self.page is not None:
            raise SettingError("a page of small networks", "full ones", "leave page out")


def gpu_check(config: GpuCheckConfig, say: Callable[[str], None]) -> str:
    """Measure what is missing; returns the last line.

    Raises:
        SettingError: an unknown part, or settings that exclude each other.
        DataError: the page has no markers, or the results are damaged.
        OutputError: a file cannot be written.
    """
    config.check()
    if config.device == "cuda" and not torch.cuda.is_available():
        for part in config.parts:
            say(f"{part}: skipped, no CUDA device")
        return "nothing was measured"
    path = config.output / "results.json"
    where = _where(config.device)
    rows = _read(path, where)
    left = 0
    for part in config.parts:
        deadline = time.monotonic() + 60 * config.minutes
        for task in _tasks_of(part, config):
            name = task.name if isinstance(task, GpuTask) else task
            if name in rows:
                continue
            if time.monotonic() > deadline:
                left += 1
                continue
            measured = _measured(task, config)
            rows[name] = asdict(measured)
            _write(path, where, rows)
            say(f"{part}: {name}: {_told(measured)}")
    if config.page is not None:
        _write_page(config.page, table(where, rows))
    return f"{left} measurements are left: the same command goes on" if left else str(path)


def _tasks_of(part: str, config: GpuCheckConfig) -> list[GpuTask | str]:
    if part == _TESTS_PART:
        return [_TESTS_PART]
    tasks: list[GpuTask | str] = []
    for task in PARTS[part]:
        if config.device == "cpu" and task.precision == "fp16":
            continue
        if config.tiny:
            task = replace(task, tiny=True, resolution=_TINY_SIDE, batch=min(task.batch, 2))
        if task not in tasks:
            tasks.append(task)
    return tasks


def _measured(task: GpuTask | str, config: GpuCheckConfig) -> GpuResult:
    if isinstance(task, GpuTask):
        return measure(task, torch.device(config.device))
    if not _TESTS.is_file():
        return GpuResult(note="no checkout: the tests are not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(_TESTS)]
    try:
        done = subprocess.run(
            command, cwd=_TESTS.parents[2], capture_output=True, text=True, timeout=450, check=False
        )
    except subprocess.TimeoutExpired:
        return GpuResult(note="stopped after 450 s")
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    return GpuResult(note=lines[-1].strip("= ") if lines else f"ended with {done.returncode}")


def _where(device: str) -> str:
    """Device and releases: figures of others are not taken over."""
    words = [torch.cuda.get_device_name() if device == "cuda" else f"CPU ({platform.machine()})"]
    releases = library_versions()
    for package in ("torch", "diffusers", "bgdefect"):
        words.append(f"{package} {releases.get(package, '?')}")
    return ", ".join(words)


def _read(path: Path, where: str) -> dict[str, dict[str, Any]]:
    """The rows of earlier calls on the same device with the same releases."""
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_bytes())
        rows = dict(record["rows"]) if record["where"] == where else {}
    except (ValueError, KeyError, TypeError) as reason:
        do = "delete it: all is measured again"
        raise DataError(
            f"{path} cannot be read ({reason!r})", "results of bench gpu", do
        ) from reason
    return rows


def _write(path: Path, where: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    with atomic_write(path, "w") as file:
        json.dump({"where": where, "rows": rows}, file, indent=1)


def _told(measured: GpuResult) -> str:
    """A measurement in words."""
    words = [measured.note] if measured.note else []
    if measured.seconds is not None:
        words.append(f"{measured.seconds:.3g} s")
    if measured.peak is not None:
        words.append(f"{measured.peak:.3g} GB")
    if measured.difference is not None:
        words.append(f"difference {measured.difference:.2g}")
    return ", ".join(words)


def table(where: str, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The Markdown table of all measurements that are there, and the CUDA tests' last line."""
    lines = [f"{where}.", ""]
    if _TESTS_PART in rows:
        lines += [f"CUDA tests: {rows[_TESTS_PART]['note']}.", ""]
    lines += ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for tasks in PARTS.values():
        for task in tasks:
            if task.name in rows:
                lines.append(_row(task, GpuResult(**rows[task.name])))
    return lines


def _row(task: GpuTask, measured: GpuResult) -> str:
    cells = [task.words, task.family, str(task.resolution), task.precision, str(task.batch)]
    cells.append(measured.note or _number(measured.seconds))
    cells += [_number(measured.peak), _number(measured.difference)]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _write_page(page: Path, lines: Sequence[str]) -> None:
    """Put the table between the markers of a page.

    Raises:
        DataError: there is no page, or it has no markers.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if _TABLE.search(text) is None:
        expected = "<!-- gpu-check --> and <!-- end of gpu-check -->"
        raise DataError(f"{page} has no markers", expected, "give docs/gpu.md")
    body = "\n".join(lines) + "\n"
    with atomic_write(page, "w") as file:
        file.write(_TABLE.sub(lambda match: match[1] + body + match[2], text))
