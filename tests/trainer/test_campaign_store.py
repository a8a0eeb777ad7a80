"""Campaigns whose workers write the samples to a store: the files of ``bgdefect generate``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bgdefect_core.errors import OutputError, SettingError
from trainer.campaign.config import CampaignConfig
from trainer.campaign.data_store import DataStore
from trainer.campaign.run import campaign, open_plan

from .campaign_sets import made, run_plan, write_plan
from .test_campaign import far

WEIGHTS = "out/weights/plate-spot.safetensors"


def content_of(folder: Path, weights: Path) -> Mapping[str, Any]:
    """All files of a data set: what must be equal, and the pages but for the weights' digest, which
    follows their date."""
    files = dict(made(folder, weights))
    manifest = (folder / "extras/plate/spot/manifest.jsonl").read_text()
    digest = json.loads(manifest.splitlines()[0])["settings"]["weights_sha256"]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.name != ".lock":
            files.setdefault(name, b"")
            if path.suffix == ".html":
                files[name] = path.read_text().replace(digest, "")
    return files


@pytest.fixture(scope="module")
def by_head(tiny_base: Path, plates: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the head writes."""
    folder = tmp_path_factory.mktemp("by-head")
    assert run_plan(write_plan(folder, tiny_base, plates))["spot"]["accepted"] == 10
    return content_of(folder / "out/data", folder / WEIGHTS)


def stored(url: str, folder: Path) -> Mapping[str, Any]:
    """The same of a store, by way of a folder."""
    store = DataStore(url)
    store.copy_to(folder / "copy", store.names(""))
    return content_of(folder / "copy", folder / WEIGHTS)


def to_store(config: CampaignConfig, url: str) -> CampaignConfig:
    return replace(config, write_from_workers=url)


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of its own for each test."""
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    return (tmp_path / "store").as_uri()


def test_a_store_holds_whole_files_by_name(url: str, tmp_path: Path) -> None:
    store = DataStore(url)
    assert store.names("a") == []
    store.write("a/b/two", b"2")
    store.write("a/one", b"1")
    store.write("c", b"3")
    assert store.names("a") == ["a/b/two", "a/one"] and store.names("") == [*store.names("a"), "c"]
    store.copy_to(tmp_path / "copy", ["a/one", "c"])
    assert (tmp_path / "copy/a/one").read_bytes() == b"1" and store.read("a/b/two") == b"2"
    store.remove(["a/one"])
    assert store.names("a") == ["a/b/two"]
    with pytest.raises(OutputError):
        store.read("a/one")


def test_stores_that_cannot_be() -> None:
    with pytest.raises(SettingError, match="nothing://x"):
        DataStore("nothing://x")


def test_workers_write_the_files_of_the_head(
    by_head: Any, tiny_base: Path, plates: Path, tmp_path: Path, url: str
) -> None:
    config = to_store(write_plan(tmp_path, tiny_base, plates), url)
    entry = run_plan(config)["spot"]
    assert (entry["stage"], entry["accepted"], entry["attempts"]) == ("done", 10, 10)
    assert entry["bytes"] < 100_000  # lines alone: the pictures take more
    assert stored(url, tmp_path) == by_head
    assert entry["page"] == f"{url}/extras/plate/spot/index.html"
    assert not (tmp_path / "out/data").exists()
    assert run_plan(config)["spot"]["accepted"] == 10  # again: nothing is done


def test_a_stopped_campaign_goes_on_in_the_store(
    by_head: Any,
    tiny_base: Path,
    plates: Path,
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From bytes alone; after one shard the head ends, and what it had is lost but for weights."""
    config = to_store(write_plan(tmp_path, tiny_base, plates), url)
    far(monkeypatch, tmp_path / "a", 5, paint=1)
    with pytest.raises(KeyboardInterrupt):
        campaign(config)
    parts = [name for name in DataStore(url).names("") if "/parts/" in name]
    assert len(parts) == 1
    shutil.rmtree(tmp_path / "out/work")
    executors = far(monkeypatch, tmp_path / "b", assemble=1)
    assert run_plan(config)["spot"]["accepted"] == 10
    assert executors[0].done.count("paint") == 1  # the other shard
    assert executors[0].done.count("assemble") == 2  # once in vain
    files, expected = dict(stored(url, tmp_path)), dict(by_head)
    for content in (files, expected):  # choices of finished shards are not made anew
        del content["extras/plate/spot/pairs.jsonl"]
    assert files == expected


def test_a_larger_count_extends_and_another_plan_is_refused(
    by_head: Any, tiny_base: Path, plates: Path, tmp_path: Path, url: str
) -> None:
    assert run_plan(to_store(write_plan(tmp_path, tiny_base, plates, count=5), url))
    config = to_store(write_plan(tmp_path, tiny_base, plates), url)
    assert run_plan(config)["spot"]["accepted"] == 10
    texts = DataStore(url).read("extras/plate/spot/manifest.jsonl").decode().splitlines()
    assert [json.loads(text)["index"] for text in texts] == list(range(10))
    other = to_store(write_plan(tmp_path / "other", tiny_base, plates, more="seed = 4\n"), url)
    assert "holds another run" in run_plan(other)["spot"]["reason"]


def test_a_full_store_stops_the_class_and_it_goes_on(
    by_head: Any, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    """A real file where a folder has to be."""
    config = to_store(write_plan(tmp_path, tiny_base, plates), "store")
    config = replace(config, write_from_workers=str(tmp_path / "store"))
    assert open_plan(config).run.write_from_workers == str(tmp_path / "store")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/plate").write_text("in the way")
    assert "cannot be written" in run_plan(config)["spot"]["reason"]
    (tmp_path / "store/plate").unlink()
    assert run_plan(config)["spot"]["accepted"] == 10
    assert stored(str(tmp_path / "store"), tmp_path) == by_head


@pytest.mark.slow
def test_workers_of_ray_write_the_files_of_the_head(
    by_head: Any, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    url = str(tmp_path / "store")
    config = to_store(write_plan(tmp_path, tiny_base, plates), url)
    assert run_plan(replace(config, workers=2))["spot"]["accepted"] == 10
    assert stored(url, tmp_path) == by_head
