"""The review's server: who may ask, what is answered, and that a decision is on the disk first."""

from __future__ import annotations

import http.client
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import DataError, OutputError
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.writing import write_picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.decisions import read_decisions
from bgdefect_core.records.sample import Sample, SampleFacts
from trainer.generation.review_command import review
from trainer.review.config import ReviewConfig
from trainer.review.document import SCRIPTS, STYLE
from trainer.review.guard import MAX_BODY, Guard
from trainer.review.server import _RequestHandler, _Server, serve
from trainer.review.session import Session
from trainer.review.site import Site

TOKEN = "secret-token"
EXTRAS = "extras/nut/scratch"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two accepted samples and a rejected attempt without label."""
    source = tmp_path / "good.png"
    write_picture(source, np.full((40, 60, 3), 100, np.uint8))
    mask = np.zeros((40, 60), bool)
    mask[10:14, 20:30] = True
    with DatasetWriter(tmp_path / "set", "nut", "scratch", {}) as writer:
        for index, accepted in enumerate((True, True, False)):
            picture = np.full((40, 60, 3), 100, np.uint8)
            picture[mask] = 200
            label, quality = mask & accepted, {"strength": 0.5}
            figures = (7, quality, "good" if accepted else "too faint", accepted)
            arrays = (Picture(picture), label, mask, None)
            writer.add(Sample(SampleFacts(index, 0, source, {}, *figures), *arrays))
    return tmp_path / "set"


class Client:
    """Asks as a browser's page would, unless it is told otherwise."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, path: str, body: bytes | None = None, method: str = "", **headers: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        names = {"Host": f"127.0.0.1:{self.port}"}
        if body is not None:
            names |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        for name, value in headers.items():
            names[name.replace("_", "-")] = value or ""
            if value is None:
                del names[name.replace("_", "-")]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method or ("GET" if body is None else "POST"), path, skip_host=True)
        if body is not None and "Content-Length" not in names:
            names["Content-Length"] = str(len(body))
        for name, value in names.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, {name.lower(): value for name, value in answer.getheaders()}

    def decide(self, name: str, word: str, reason: str = "", mended: bool = False) -> Any:
        text = json.dumps({"decision": word, "reason": reason, "mended": mended})
        return self.ask(f"/{TOKEN}/decide/0/{name}", text.encode())


@pytest.fixture
def client(root: Path) -> Iterator[Client]:
    with Session(root) as session, _Server(("127.0.0.1", 0), _RequestHandler) as server:
        server.guard, server.site = Guard(TOKEN, server.server_port), Site(session)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Client(server.server_port)
        server.shutdown()
        thread.join()


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_and_its_parts(client: Client) -> None:
    status, page, headers = client.ask(f"/{TOKEN}/")
    assert status == 200 and b"nut / scratch" in page
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    text = page.decode()
    assert "//" not in text.replace("<!doctype", "") and "<style" not in text
    for name in (*SCRIPTS, STYLE):
        status, content, _ = client.ask(f"/{TOKEN}/{name}")
        assert status == 200 and name in text and b"http" not in content
    data = json.loads(client.ask(f"/{TOKEN}/data.json")[1])
    assert [row["name"] for row in data["rows"]] == ["00000_0", "00001_0", "00002_0"]
    assert [row["accepted"] for row in data["rows"]] == [True, True, False]
    for kind in ("result", "normal", "label", "requested", "thumbnail"):
        status, content, headers = client.ask(f"/{TOKEN}/{kind}/0/00000_0?3")
        assert status == 200 and headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == ((96, 96) if kind == "thumbnail" else (60, 40))
    detail = json.loads(client.ask(f"/{TOKEN}/detail/0/00000_0")[1])
    assert (detail["width"], detail["height"]) == (60, 40)
    assert client.ask(f"/{TOKEN}/heat/0/00000_0")[0] == 404


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/wrong/", {}),
        (f"/{TOKEN}", {}),
        (f"/{TOKEN}x/data.json", {}),
        ("/data.json", {}),
        (f"http://127.0.0.1/{TOKEN}/", {}),
        (f"/{TOKEN}/data.json", {"Host": "evil.example"}),
        (f"/{TOKEN}/data.json", {"Host": "evil.example:80"}),
        (f"/{TOKEN}/data.json", {"Host": ""}),
        (f"/{TOKEN}/data.json", {"Host": None}),
        (f"/{TOKEN}/data.json", {"Origin": "http://evil.example"}),
        (f"/{TOKEN}/data.json", {"Origin": "null"}),
        (f"/{TOKEN}/data.json", {"Sec_Fetch_Site": "cross-site"}),
        (f"/{TOKEN}/data.json", {"Sec_Fetch_Site": "same-site"}),
    ],
)
def test_nobody_else_is_answered(client: Client, path: str, headers: dict[str, Any]) -> None:
    status, content, answered = client.ask(path, **headers)
    assert status == 403 and b"00000" not in content
    assert "content-security-policy" in answered and "access-control-allow-origin" not in answered


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": None},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Host": "evil.example"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": None},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_nobody_else_decides(client: Client, root: Path, headers: dict[str, Any]) -> None:
    body = json.dumps({"decision": "reject", "reason": "", "mended": False}).encode()
    path = f"/{TOKEN}/decide/0/00000_0"
    assert client.ask(path, body, **headers)[0] == 403
    assert client.ask("/wrong/decide/0/00000_0", body)[0] == 403
    assert read_decisions(root / EXTRAS) == {}
    assert client.ask(path, body)[0] == 200


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "HEAD", "TRACE", "CONNECT"])
def test_other_methods_are_not_answered(client: Client, method: str) -> None:
    assert client.ask(f"/{TOKEN}/data.json", method=method)[0] == 501


@pytest.mark.parametrize(
    "place",
    [
        "../../etc/passwd",
        "..%2f..%2fetc/passwd",
        "%2e%2e/state.js",
        "web/page.html.j2",
        "page.html.j2",
        "result/0/..%2f..%2fgood.png",
        "result/0/%00",
        "result/-1/00000_0",
        "result/1/00000_0",
        "result/%C2%B2/00000_0",
        "result/0/00000_9",
        "file/0/00000_0",
        "result/0/00000_0/x",
        "result/99999999999999999999/00000_0",
    ],
)
def test_no_address_leads_elsewhere(client: Client, place: str) -> None:
    status, content, _ = client.ask(f"/{TOKEN}/{place}")
    assert status == 404 and b"root:" not in content and b"import" not in content


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_manifest_or_a_link_gives_no_foreign_file(root: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "secret.png", np.full((40, 60, 3), 9, np.uint8))
    path = root / EXTRAS / "manifest.jsonl"
    name = "nut/test/scratch/00000.png"
    text = path.read_text().replace(name, "../secret.png")
    text = text.replace(f"{EXTRAS}/requested/00000.png", str(tmp_path / "secret.png"))
    path.write_text(text)
    (root / "nut/test/scratch/00001.png").unlink()
    (root / "nut/test/scratch/00001.png").symlink_to(tmp_path / "secret.png")
    with Session(root) as session:
        site = Site(session)
        for place in ("result/0/00000_0", "requested/0/00000_0", "result/0/00001_0"):
            answer = site.get(place)
            assert answer.status == 404 and b"leads out" in answer.body
        assert site.get("thumbnail/0/00001_0").status == 404


def test_a_decision_is_on_the_disk_when_it_is_answered(client: Client, root: Path) -> None:
    status, content, _ = client.decide("00001_0", "reject", "wrong place")
    row = json.loads(content)
    assert status == 200 and not row["accepted"] and row["reason"] == "wrong place"
    known = read_decisions(root / EXTRAS)[1, 0]
    assert (known.decision, known.reason, known.file) == (
        "reject",
        "wrong place",
        "nut/test/scratch/00001.png",
    )
    data = json.loads(client.ask(f"/{TOKEN}/data.json")[1])
    assert [row["accepted"] for row in data["rows"]] == [True, False, False]


def test_a_label_is_mended_beside(client: Client, root: Path) -> None:
    before = (root / "nut/ground_truth/scratch/00000_mask.png").read_bytes()
    status, content, _ = client.decide("00002_0", "accept")
    assert status == 409 and b"draw it with the brush first" in content
    status, content, _ = client.decide("00000_0", "undecided", mended=True)
    assert status == 409 and b"no label was drawn" in content
    mask = np.zeros((40, 60), np.uint8)
    mask[0:5, 0:5], mask[10, 10] = 255, 100
    for name in ("00000_0", "00002_0"):
        status, content, _ = client.ask(
            f"/{TOKEN}/mend/0/{name}", png(mask), Content_Type="image/png"
        )
        assert status == 200 and json.loads(content)["mended"]
        _, label, _ = client.ask(f"/{TOKEN}/label/0/{name}?1")
        with Image.open(io.BytesIO(label)) as image:
            assert np.asarray(image).sum() == 25 * 255
    assert (root / "nut/ground_truth/scratch/00000_mask.png").read_bytes() == before
    assert client.decide("00002_0", "accept", mended=True)[0] == 200
    assert client.decide("00000_0", "undecided")[0] == 200
    assert client.ask(f"/{TOKEN}/label/0/00000_0?2")[1] == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no picture", b"cannot be read"),
        (png(np.zeros((40, 60), np.uint8)), b"the label is empty"),
        (png(np.full((41, 60), 255, np.uint8)), b"60 x 41 pixels; expected 60 x 40"),
        (png(np.full((40, 60), 255, np.uint8))[:60], b"cannot be read"),
    ],
)
def test_what_is_no_label_is_refused(
    client: Client, root: Path, body: bytes, message: bytes
) -> None:
    path = f"/{TOKEN}/mend/0/00000_0"
    status, content, _ = client.ask(path, body, Content_Type="image/png")
    assert status == 409 and message in content, content
    assert not (root / EXTRAS / "mended").exists() and read_decisions(root / EXTRAS) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"decision": "accept"}',
        b'{"decision": "maybe", "reason": "", "mended": false}',
        b'{"decision": ["accept"], "reason": "", "mended": false}',
        b'{"decision": "accept", "reason": 3, "mended": false}',
        b'{"decision": "accept", "reason": "", "mended": "no"}',
        b'{"decision": "accept", "reason": "%s", "mended": false}' % (b"a" * 501),
        b"\xff",
    ],
)
def test_what_is_no_decision_is_refused(client: Client, root: Path, body: bytes) -> None:
    assert client.ask(f"/{TOKEN}/decide/0/00000_0", body)[0] == 409
    assert read_decisions(root / EXTRAS) == {}


@pytest.mark.parametrize("size", [str(MAX_BODY + 1), "-1", "many", "9" * 30, "\u00b2"])
def test_the_size_of_a_body_is_bounded(client: Client, size: str) -> None:
    size = size.encode().decode("latin-1")
    status, _, headers = client.ask(f"/{TOKEN}/decide/0/00000_0", b"", Content_Length=size)
    assert status == 413 and headers["connection"] == "close"


def test_a_body_in_chunks_is_refused(client: Client) -> None:
    words = {"Transfer_Encoding": "chunked"}
    assert client.ask(f"/{TOKEN}/decide/0/00000_0", b"", **words)[0] == 413


def test_one_review_and_no_generate_at_a_time(root: Path) -> None:
    with Session(root):
        for apply in (False, True):
            with pytest.raises(OutputError, match="in use by another process"):
                review(ReviewConfig(root, apply=apply), lambda line: None)
    (root / EXTRAS / "apply.json").write_text("{}")
    with pytest.raises(DataError, match="run the same command with --apply first"):
        Session(root)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    for apply in (False, True):
        with pytest.raises(DataError, match="holds no extras"):
            review(ReviewConfig(tmp_path, apply=apply), lambda line: None)


def test_a_taken_port_is_said(client: Client) -> None:
    with pytest.raises(OutputError, match=f"port {client.port} cannot be used"):
        serve(cast(Session, None), client.port, lambda address: None)
