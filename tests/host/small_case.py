"""Inside ComfyUI's own Python: the embedded base with two drawn pictures, a mask and prompts, for
the scripts of this folder."""

from contextlib import contextmanager
from types import SimpleNamespace

from child import ours  # first: it finds the host

# isort: split
import torch

errors, nodes, prompts_of = (
    ours("bgdefect_core.errors"),
    ours("nodes.loaders"),
    ours("nodes.prompts"),
)


@contextmanager
def refused(*words):
    """What runs in it must end in an error of ours that holds these words."""
    try:
        yield
    except errors.BGDefectError as error:
        assert all(word in str(error) for word in words), str(error)
    else:
        raise AssertionError(f"not refused: {words}")


def small_case():
    """``model``, ``clip``, ``vae``, ``latent`` [2, 4, 16, 16], ``mask`` [1, 64, 64] and ``graph``,
    the region prompts."""
    model, clip, vae = nodes.LoadBase.execute(nodes.MINI)
    generator = torch.Generator().manual_seed(1)
    latent = vae.encode(
        torch.rand(2, 8, 8, 3, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    )
    mask = torch.zeros(1, 64, 64)
    mask[:, 20:44, 12:40] = 1
    graph = prompts_of.RegionPromptEncode.execute(clip, "a metal part", "a deep scratch", "mask")[0]
    return SimpleNamespace(model=model, clip=clip, vae=vae, latent=latent, mask=mask, graph=graph)
