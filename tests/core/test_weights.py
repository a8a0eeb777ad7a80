"""Class weights files: round trips, the base's fingerprint, and every file that must be refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bgdefect_core.errors import OutputError, WeightsError
from bgdefect_core.weights.files import (
    FINGERPRINT_TENSORS,
    ClassWeightsInfo,
    architecture_of,
    check_base,
    check_keys,
    fingerprint,
    load_weights,
    read_info,
    save_weights,
)
from bgdefect_core.weights.lora_names import from_host_names, to_host_names

MODULE = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"


def make_info(**changes: object) -> ClassWeightsInfo:
    info = ClassWeightsInfo(
        kind="full",
        object="metal_nut",
        defect="scratch",
        background_prompt="a photo of a metal nut",
        defect_prompt="a scratch defect on a metal nut",
        mask_prompt="mask",
        base_name="bgdefect-mini",
        base_fingerprint="a" * 64,
        base_licence="Apache-2.0",
        prediction_type="epsilon",
        resolution=128,
        zoom="defect",
        steps=500,
        loss="disentangled",
        seed=7,
        date="2026-11-23T14:00:00+00:00",
        architecture={"in_channels": 4, "block_out_channels": [64, 128], "cross_attention_dim": 96},
        libraries={"torch": "2.4.0"},
        mask_sides=[12, 30],
    )
    return dataclasses.replace(info, **changes)  # type: ignore[arg-type]


def unet_tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(3, 2, generator=generator)
        for name in (*FINGERPRINT_TENSORS, "conv_in.bias")
    }


def lora_tensors() -> dict[str, torch.Tensor]:
    peft = {
        f"{MODULE}.lora_A.weight": torch.ones(2, 5),
        f"{MODULE}.lora_B.weight": torch.full((3, 2), 0.5),
    }
    return to_host_names(peft, alpha=4.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scratch.safetensors"
    save_weights(path, unet_tensors(), make_info())
    return path


def write_raw(path: Path, header: bytes, body: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)
    return path


def write_record(path: Path, record: str, tensors: str = "5") -> Path:
    save_file(
        unet_tensors(), path, metadata={"format": "pt", "bgdefect": record, "tensors": tensors}
    )
    return path


def test_round_trip_of_a_full_unet(file: Path) -> None:
    tensors, info = load_weights(file)
    assert info == make_info() == read_info(file)
    assert tensors.keys() == unet_tensors().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in unet_tensors().items())
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # no temporary file stays


@pytest.mark.skipif(os.name != "posix", reason="names are text there")
def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system refuses such names")
    save_weights(folder / "scratch.safetensors", unet_tensors(), make_info())
    tensors, info = load_weights(folder / "scratch.safetensors")
    assert info == make_info() == read_info(folder / "scratch.safetensors")
    assert torch.equal(tensors["conv_out.weight"], unet_tensors()["conv_out.weight"])


def test_validation_losses_are_kept_and_older_files_open(tmp_path: Path) -> None:
    path = tmp_path / "scratch.safetensors"
    save_weights(path, unet_tensors(), make_info(validation_before=0.5, validation_after=0.25))
    info = read_info(path)
    assert (info.validation_before, info.validation_after) == (0.5, 0.25)
    record = dataclasses.asdict(make_info())
    del record["validation_before"], record["validation_after"]
    info = read_info(write_record(path, json.dumps(record)))
    assert (info.validation_before, info.validation_after) == (None, None)
    assert read_info(write_record(path, json.dumps({**record, "validation_after": None}))) == info
    for wrong in ("0.5", -1.0, True, []):
        with pytest.raises(WeightsError, match="validation_after"):
            read_info(write_record(path, json.dumps({**record, "validation_after": wrong})))


def test_fp16_halves_the_tensors(file: Path, tmp_path: Path) -> None:
    save_weights(tmp_path / "half.safetensors", unet_tensors(), make_info(), fp16=True)
    tensors, _ = load_weights(tmp_path / "half.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert torch.equal(tensors["conv_in.weight"], unet_tensors()["conv_in.weight"].half())
    assert fingerprint(tensors) == fingerprint(unet_tensors())


def test_lora_names_are_the_hosts(tmp_path: Path) -> None:
    host = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"
    tensors = lora_tensors()
    assert sorted(tensors) == [
        f"{host}.alpha",
        f"{host}.lora_down.weight",
        f"{host}.lora_up.weight",
    ]
    assert tensors[f"{host}.lora_down.weight"].shape == (2, 5)
    assert tensors[f"{host}.alpha"].item() == 4.0
    path = tmp_path / "lora.safetensors"
    save_weights(path, tensors, make_info(kind="lora", lora_rank=2, lora_alpha=4.0))
    loaded, info = load_weights(path)
    assert (info.lora_rank, info.lora_alpha) == (2, 4.0)
    back = from_host_names(loaded, {f"{MODULE}.weight": torch.zeros(3, 5)})
    assert back.keys() == {f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"}
    assert torch.equal(back[f"{MODULE}.lora_B.weight"], torch.full((3, 2), 0.5))
    prefixed = to_host_names(
        {f"base_model.model.{MODULE}.lora_A.default.weight": torch.ones(2, 5)}, 4.0
    )
    assert f"{host}.lora_down.weight" in prefixed


def test_lora_of_another_base_is_refused() -> None:
    with pytest.raises(WeightsError, match="no module 'lora_unet_down_blocks_0"):
        from_host_names(lora_tensors(), ["mid_block.attentions.0.proj_in.weight"])
    with pytest.raises(WeightsError, match=r"shape \(2, 5\).*\(3, 7\)"):
        from_host_names(lora_tensors(), {f"{MODULE}.weight": torch.zeros(3, 7)})
    with pytest.raises(WeightsError, match="'conv_in.weight' is no LoRA tensor"):
        to_host_names({"conv_in.weight": torch.ones(1)}, 1.0)


class Packed(torch.Tensor):
    """A quantised tensor that calls itself fp16."""


def test_fingerprint_knows_no_other_kinds_of_tensor() -> None:
    tensors = unet_tensors()
    assert fingerprint(
        {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}
    ) == fingerprint(tensors)
    assert (
        fingerprint({name: tensor.half().as_subclass(Packed) for name, tensor in tensors.items()})
        == "unknown"
    )


def test_fingerprint_by_hand() -> None:
    tensors = {name: torch.tensor([[1.0, -2.0]]) for name in FINGERPRINT_TENSORS}
    digest = hashlib.sha256()
    for name in FINGERPRINT_TENSORS:
        digest.update(
            f"{name} (1, 2)\n".encode() + bytes([0x00, 0x3C, 0x00, 0xC0])
        )  # 1 and -2 in fp16, little endian
    assert fingerprint(tensors) == digest.hexdigest()
    assert (
        fingerprint({name: tensor.half() for name, tensor in tensors.items()}) == digest.hexdigest()
    )
    nudged = {**tensors, "conv_out.weight": torch.tensor([[1.0, -2.01]])}
    assert fingerprint(nudged) != digest.hexdigest()
    invisible = {**tensors, "conv_out.weight": torch.tensor([[1.0, -2.00001]])}  # below fp16's step
    assert fingerprint(invisible) == digest.hexdigest()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8, torch.float64])
def test_fingerprint_unknown(dtype: torch.dtype) -> None:
    tensors = unet_tensors()
    assert (
        fingerprint({**tensors, "conv_out.weight": tensors["conv_out.weight"].to(dtype)})
        == "unknown"
    )
    del tensors["mid_block.resnets.0.conv1.weight"]
    assert fingerprint(tensors) == "unknown"


def test_check_base(caplog: pytest.LogCaptureFixture) -> None:
    config = {
        "in_channels": 4,
        "block_out_channels": (64, 128),
        "cross_attention_dim": 96,
        "sample_size": 32,
    }
    same = architecture_of(config)
    assert same == {"in_channels": 4, "block_out_channels": [64, 128], "cross_attention_dim": 96}
    full, lora = make_info(), make_info(kind="lora", lora_rank=4)
    with caplog.at_level(logging.WARNING):
        check_base(full, "a" * 64, same, "epsilon")
        check_base(
            full, "a" * 64, {"block_out_channels": (64, 128)}, "epsilon"
        )  # a host may know less
        assert not caplog.records
        check_base(lora, "b" * 64, same, "epsilon")
        check_base(full, "b" * 64, same, "epsilon", allow_other_base=True)
        check_base(full, "unknown", same, "epsilon")
    texts = [record.getMessage() for record in caplog.records]
    assert ["another base" in text for text in texts] == [True, True, False]
    assert "cannot tell" in texts[2]
    with pytest.raises(WeightsError, match="another base, 'bgdefect-mini'.*--allow-other-base"):
        check_base(full, "b" * 64, same, "epsilon")
    for info in (full, lora):
        with pytest.raises(WeightsError, match="cross_attention_dim 768; expected 96"):
            check_base(
                info,
                "a" * 64,
                {**same, "cross_attention_dim": 768},
                "epsilon",
                allow_other_base=True,
            )
        with pytest.raises(WeightsError, match="'v_prediction'; expected 'epsilon'"):
            check_base(info, "a" * 64, same, "v_prediction", allow_other_base=True)


def test_check_keys() -> None:
    check_keys(["a", "b"], ["b", "a"])
    with pytest.raises(
        WeightsError, match="1 tensors are missing, first 'b'; 1 tensors are not part.*first 'c'"
    ):
        check_keys(["a", "c"], ["a", "b"])


def test_refuses_what_is_no_weights_file(file: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_info(tmp_path / "absent.safetensors")
    for protocol in (True, False):  # zip, and the bare pickle of old .ckpt files
        pickle = tmp_path / "pickle.safetensors"
        torch.save(unet_tensors(), pickle, _use_new_zipfile_serialization=protocol)
        with pytest.raises(WeightsError, match=r"pickle.safetensors: is a pickle"):
            read_info(pickle)
    for content, message in (
        (b"", "is empty"),
        (b"\x80", "is not a safetensors file"),
        (b"hello, world, this is text", "is not a safetensors file"),
        (b"\xff" * 8 + b"{", "is truncated"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page.*; download the file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS pointer.*git lfs pull"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "macOS writes beside"),
    ):
        other = tmp_path / "other.safetensors"
        other.write_bytes(content)
        with pytest.raises(WeightsError, match=f"other.safetensors: .*{message}"):
            read_info(other)
    with pytest.raises(WeightsError, match="a folder"):
        read_info(tmp_path)
    for header in (
        b"{not json",
        b'{"a":' + b"[" * 100_000,
        b'{"a":1}',
        b'{"a":{"data_offsets":[0,1e999]}}',
    ):
        with pytest.raises(WeightsError, match="its header does not describe"):
            read_info(write_raw(tmp_path / "raw.safetensors", header))
    with pytest.raises(WeightsError, match="no BGDefect metadata"):
        read_info(write_raw(tmp_path / "raw.safetensors", b'{"__metadata__":{"format":"pt"}}'))
    assert read_info(file) == make_info()


def test_refuses_every_truncation(file: Path) -> None:
    content = file.read_bytes()
    header = struct.unpack("<Q", content[:8])[0]
    for size in (5, 100, 8 + header - 1, 8 + header, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(WeightsError, match="truncated" if size > 8 else "not a safetensors"):
            read_info(file)
    file.write_bytes(content)
    load_weights(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": "128"}, "resolution = '128'; expected a value of type int"),
        ({"resolution": True}, "resolution = 'True'"),
        ({"resolution": 0}, "resolution = '0'; expected 8 to 4096"),
        ({"resolution": 10**12}, "resolution = '1000000000000'; expected 8 to 4096"),
        ({"kind": "pickle"}, "kind = 'pickle'; expected full or lora"),
        ({"zoom": "half"}, "zoom = 'half'"),
        ({"lora_alpha": float("nan")}, "cannot be parsed"),
        ({"lora_alpha": 10**400}, "lora_alpha"),
        ({"steps": 1 << 70}, "steps"),
        ({"libraries": {"torch": 2}}, "libraries"),
        ({"mask_sides": [1, "2"]}, "mask_sides"),
        ({"prediction_given": 1}, "prediction_given = '1'; expected a value of type bool"),
        ({"object": "x" * 70_000}, "at most 65536"),
        ({"format_version": 2}, "format 2; expected 1 or older; update"),
    ],
)
def test_refuses_hostile_metadata(tmp_path: Path, change: dict[str, object], message: str) -> None:
    record = {**dataclasses.asdict(make_info()), **change}
    path = write_record(tmp_path / "hostile.safetensors", json.dumps(record))
    with pytest.raises(WeightsError, match=message):
        load_weights(path)


def test_metadata_that_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    for text, message in (
        ("{", "JSON"),
        ("[" * 60_000, "JSON"),
        ("[]", "JSON object"),
        ("{}", "lacks 'kind'"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_info(write_record(path, text))
    record = json.dumps({**dataclasses.asdict(make_info()), "of_the_future": 1})
    assert read_info(write_record(path, record)) == make_info()
    for count in ("five", "", "9" * 5000):
        with pytest.raises(WeightsError, match="lacks the number of tensors"):
            read_info(write_record(path, record, count))
    with pytest.raises(WeightsError, match="holds 5 tensors; expected 6"):
        load_weights(write_record(path, record, "6"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refuses_nan(tmp_path: Path, bad: float) -> None:
    tensors = unet_tensors()
    tensors["conv_in.bias"][1, 1] = bad
    with pytest.raises(WeightsError, match="NaN or infinity in 'conv_in.bias'"):
        save_weights(tmp_path / "nan.safetensors", tensors, make_info())
    assert not list(tmp_path.iterdir())
    metadata = {"bgdefect": json.dumps(dataclasses.asdict(make_info())), "tensors": "5"}
    save_file(tensors, tmp_path / "nan.safetensors", metadata=metadata)
    with pytest.raises(WeightsError, match="NaN or infinity in 'conv_in.bias'"):
        load_weights(tmp_path / "nan.safetensors")


def test_a_broken_info_is_not_written(tmp_path: Path) -> None:
    for info in (make_info(kind="half"), make_info(lora_alpha=float("nan"))):
        with pytest.raises(WeightsError, match="metadata"):
            save_weights(tmp_path / "x.safetensors", unet_tensors(), info)
    assert not list(tmp_path.iterdir())


def test_fp16_that_overflows_is_refused(tmp_path: Path) -> None:
    tensors = {**unet_tensors(), "conv_in.bias": torch.tensor([70_000.0])}
    save_weights(tmp_path / "full.safetensors", tensors, make_info())
    with pytest.raises(WeightsError, match="conv_in.bias"):
        save_weights(tmp_path / "half.safetensors", tensors, make_info(), fp16=True)


def test_refuses_missing_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    full, lora = unet_tensors(), lora_tensors()
    del full["conv_out.weight"]
    with pytest.raises(WeightsError, match="1 tensors are missing, first 'conv_out.weight'"):
        save_weights(path, full, make_info())
    lora = {name: tensor for name, tensor in lora.items() if not name.endswith("lora_up.weight")}
    with pytest.raises(WeightsError, match="missing, first 'lora_unet.*lora_up.weight'"):
        save_weights(path, lora, make_info(kind="lora"))
    with pytest.raises(WeightsError, match="holds 'conv_in.bias'"):
        save_weights(path, unet_tensors(), make_info(kind="lora"))
    with pytest.raises(WeightsError, match="no tensors"):
        save_weights(path, {}, make_info())


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_weights(tmp_path / "file" / "x.safetensors", unet_tensors(), make_info())
    path = tmp_path / "x.safetensors"
    save_weights(path, unet_tensors(), make_info(seed=1))

    def full_disk(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(path, unet_tensors(), make_info(seed=2))
    assert load_weights(path)[1].seed == 1
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "x.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="no such rights there")
def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_weights(tmp_path / "x.safetensors", unet_tensors(), make_info())
    finally:
        os.umask(before)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o640


def test_weights_of_eight_bits_are_read_as_fp32(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in unet_tensors().items()}
    metadata = {
        "bgdefect": json.dumps(dataclasses.asdict(make_info())),
        "tensors": str(len(stored)),
    }
    save_file(stored, tmp_path / "w.safetensors", metadata=metadata)
    tensors, _ = load_weights(tmp_path / "w.safetensors")
    for name, tensor in tensors.items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, stored[name].float())
    assert "w.safetensors holds weights of 8 bits (float8_e4m3fn)" in caplog.text
