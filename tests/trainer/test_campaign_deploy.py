"""The examples of docs/deploy: valid for their own tools, and without a credential."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainer.cli.commands import COMMANDS

DEPLOY = Path(__file__).resolve().parents[2] / "docs" / "deploy"


def test_the_cluster_file_is_valid_for_ray() -> None:
    ray = pytest.importorskip("ray")
    jsonschema = pytest.importorskip("jsonschema")
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    document = yaml.safe_load((DEPLOY / "cluster.yaml").read_text())
    jsonschema.validate(document, json.loads(schema.read_text()))
    assert document["head_node_type"] in document["available_node_types"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_script_is_a_script() -> None:
    subprocess.run(["bash", "-n", str(DEPLOY / "slurm.sh")], check=True)


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = document["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"]["containers"][0] for group in groups]


def test_the_rayjob_runs_a_campaign_on_machines_that_share_nothing() -> None:
    document = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayJob")
    program, command, *_ = shlex.split(document["spec"]["entrypoint"])
    assert program == "bgdefect" and command in COMMANDS
    head, worker = containers(document)
    assert head["image"] == worker["image"]
    assert "volumeMounts" in head and "volumeMounts" not in worker


def test_no_example_holds_a_credential() -> None:
    for path in DEPLOY.iterdir():
        text = path.read_text()
        assert not re.search(r"(?i)(secret|token|password|access_key|ssh_private_key)", text), path
