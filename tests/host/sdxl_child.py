"""Runs inside ComfyUI's own Python: SDXL's two text encoders, with random weights. `sdxl_child.py
HOST BASE_DIRECTORY PACK`"""

from types import SimpleNamespace

from child import ours, stock  # first: it finds the host

# isort: split
import comfy.sd
import comfy.sdxl_clip
import torch

prompts_of = ours("nodes.prompts")


def random_encoders():
    """The host's CLIP of an SDXL checkpoint, full size."""
    target = SimpleNamespace(
        params={}, clip=comfy.sdxl_clip.SDXLClipModel, tokenizer=comfy.sdxl_clip.SDXLTokenizer
    )
    clip = comfy.sd.CLIP(target, embedding_directory=None)
    generator = torch.Generator().manual_seed(0)
    for parameter in clip.cond_stage_model.parameters():
        parameter.data = (0.02 * torch.randn(parameter.shape, generator=generator)).to(
            parameter.dtype
        )
    return clip


def main():
    clip = random_encoders()
    texts = ("a metal part", "a deep scratch", "mask")
    prompts = prompts_of.RegionPromptEncode.execute(clip, *texts)[0].prompts
    background, defect, placeholder, empty = (
        stock.CLIPTextEncode().encode(clip, text)[0] for text in (*texts, "")
    )
    same = prompts_of.RegionPromptsNode.execute(background, defect, placeholder, 3, empty)[
        0
    ].prompts
    assert prompts.background.shape == (1, 77, 2048) and prompts.added["pooled_output"].shape == (
        1,
        1280,
    )
    for one, other in (
        (prompts.background, background[0][0]),
        (prompts.defects[0], defect[0][0]),
        (prompts.placeholder, placeholder[0][0]),
        (prompts.empty, empty[0][0]),
    ):
        assert torch.equal(one, other)
    assert torch.equal(prompts.added["pooled_output"], same.added["pooled_output"])
    assert (
        [list(words) for words in prompts.defect_words]
        == [list(words) for words in same.defect_words]
        == [[1, 2, 3]]
    )


with torch.inference_mode():
    main()
