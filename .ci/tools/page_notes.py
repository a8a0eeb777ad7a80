"""What the help page of each node says beyond its tables."""

from __future__ import annotations

NOTES: dict[str, str] = {
    "BGDefectLoadBase": """
- `bgdefect-mini` comes with the pack: nothing is downloaded. It works on squares of 128 pixels and
  runs on a CPU.
- A diffusers folder goes to `models/diffusers/NAME` (with `model_index.json`; weights as
  safetensors, pickles are refused).
- For a single checkpoint file use the host's **Load Checkpoint** instead: every node takes its
  MODEL, CLIP and VAE.
""",
    "BGDefectApplyWeights": """
- Files lie in `models/bgdefect`; `bgdefect train` writes them. After copying one there press
  **R**.
- Connect the three prompts to **Encode Region Prompts** and `resolution` to **Crop to Mask**: then
  everything is as in training.
- A file for another architecture or another kind of prediction is refused. A LoRA file also loads
  with the host's own **LoraLoader**.
""",
    "BGDefectRegionPromptEncode": """
- Pixels inside the mask read only the defect's words, pixels outside only the background's (Eq. 10
  and 11 of the paper).
- The words are best those of the training: connect the outputs of **Apply Defect Weights**.
- For a second defect add **Add Defect**.
""",
    "BGDefectRegionPrompts": """
- For encoders that have nodes of their own. `placeholder` is the encoded word that stands for the
  empty mask, usually "mask".
- `words` is needed only where **Refine Defect Mask** is to use the signal attention or product.
""",
    "BGDefectAddDefect": """
- Can be chained: one node a further defect. Where masks overlap, a cell of the latents goes to the
  larger share.
- With **Crop to Mask** give that node all masks together, and cut each one with **Crop Another
  Mask**.
""",
    "BGDefectAddDefectConditioning": """
- As **Add Defect**, for a text that another node has encoded.
""",
    "BGDefectInversion": """
- With `skip` on nothing is computed here: the background mode noised, the default of the samplers,
  puts the good picture with fixed noise around the defect.
- With `skip` off, masked DDIM inversion (Eq. 8): the picture, with the defect's place left empty,
  is turned into noise step by step, and every step is kept. It does not depend on the seed: as
  long as picture, mask, prompts and steps stay, the host takes it from its cache.
- `steps` of sampling, and with `skip` off as many of inversion. 10 with the spacing trailing and
  the solver dpmpp_2m of the sampler; the paper's form is 50 with leading and ddim.
- With `spacing` trailing the levels end at the highest noise for any number of steps; with leading
  few steps give fainter defects.
- The host's VAE Encode cuts a picture to a multiple of 8 pixels (of 4 with `bgdefect-mini`),
  evenly on both sides, unless **Crop to Mask** made the square. The sampler's `mask` is cut alike
  and fits the decoded samples.
""",
    "BGDefectSampler": """
- Composited sampling (Eq. 9). In `noised` and `replay` the background of the latents is kept
  exactly.
- An inverted background carries less noise than the network was trained with: with `replay` more
  samples come out faint, and each costs an inversion more.
- Sample i belongs to picture i modulo the number of pictures. Its own seed is drawn from `seed` and
  i, as on the command line: no two runs share samples, also where `seed` goes up by 1.
- Another seed does not repeat the inversion.
- With `pasted` connected each sample starts from the real defect, noised to a start level between
  `start_min` and `start_max`: fewer steps, and a defect that keeps more of the real one. At 0 it is
  the paste, at 1 the paper's start from noise. Low levels give copies: look at several seeds.
- The wiring: **Place Defect Mask** `pasted`, **Crop Another Picture**, VAE Encode, `pasted` here.
- `guidance` 1 is the paper's; with `bgdefect-mini` 2 or 3 make faint defects clearer.
""",
    "BGDefectNoise": """
- Sample i of a batch is drawn from `seed` and i alone, as in **Background/Defect Sampler**; repeat
  the latent for several samples.
- The host's RandomNoise works too, with other samples for the same seed.
""",
    "BGDefectGuider": """
- For **SamplerCustomAdvanced**: connect `guider`, a sampler, `sigmas` of the inversion, and the
  latent that was inverted.
- With `euler`, the inversion's sigmas and **Defect Noise** the result equals **Background/Defect
  Sampler** with the solver ddim; with `dpmpp_2m` it nearly equals that with the solver dpmpp_2m.
- Sigmas of another scheduler must go all the way from noise to the picture: split ones, or a
  `denoise` well below 1, are refused.
- With `pasted` connected a run starts from the real defect at its first sigma, whatever that is:
  connect the `sigmas` of this node, cut at `start_level`, or a scheduler with a lower `denoise`.
- Guidance that other nodes put on the model (PAG, SAG, RescaleCFG) is not used, here and in the
  sampler: the log says so. A model whose cross-attention another node has replaced (IPAdapter) is
  refused.
- `euler_ancestral`, SDE samplers and the like need the background mode `replay` or `noised`.
""",
    "BGDefectRefineMask": """
- Eq. 13 with choices of our own: the signal is divided by its 95th percentile inside the requested
  mask and cut at the threshold.
- `normal` is the good square encoded and decoded by the same VAE: what the VAE cannot reproduce is
  no defect.
- Several defects in one picture: one node for each, with its own `mask`, and **MaskComposite**
  (add) to put the labels together.
- The refined mask never reaches out of the requested one.
""",
    "BGDefectLoadPictures": """
- The folder lies in ComfyUI's `input`. Pictures are read as 8 bits a channel, upright by their
  EXIF orientation.
- `page` set to *increment* and the number of runs beside **Run** set to 500 gives 500 runs with
  the next pictures each.
- Pictures of different sizes come as separate batches: what follows then runs once for each.
""",
    "BGDefectPlaceMask": """
- A library is a folder of black and white masks, such as `ground_truth/DEFECT` of a data set in
  MVTec layout.
- Defects far from each other in one file are a mask each; all files of a subfolder are one defect
  together.
- Every offset at which the mask lies wholly on the part is equally likely.
- With the real pictures at hand (`test/DEFECT` beside `ground_truth/DEFECT`) the best of many
  turns and offsets is taken: around the mask the part looks as it did around the real defect, and
  under it not like the defect already.
- `directions` auto: on a ground with a direction (brushed metal, a weave, traces) whose real
  defects all lie one way, new masks stay that way; the log says which range was taken and why.
- `avoid` keeps a second defect clear of the first: connect the first mask. `allowed` bounds where
  defects may lie.
- `box` bounds it too; with both, masks lie in both. Boxes of one picture count for it alone; a
  picture without a box is left out. The wiring, on hosts that have these nodes:
  - by hand: **Create Bounding Boxes** `bboxes` → `box`;
  - a detector of the part, on the same pictures: **SAM3 Detect** (text such as "screw head") or
    **Run Real-Time Detection (RT-DETR)**, `bboxes` → `box`;
  - its outline rather than its box: **SAM3 Detect** `masks` → `allowed`;
  - real defects without masks: **SAM3 Detect** on the defect pictures, with their boxes on its
    `bboxes` and `individual_masks` on: `masks` → `masks`, with library (masks input).
- `pasted` shows each picture with the real defect laid over it, where the real picture is known:
  the start of **Background/Defect Sampler** from real defects, by way of **Crop Another Picture**
  and VAE Encode.
- `real` goes to **Defect Quality**: samples are then compared with the real defects of the class,
  as on the command line.
- If nothing fits, lower `scale_min` and `scale_max`, or set `part` to texture.
""",
    "BGDefectCropToMask": """
- A defect must be painted at the scale at which it was learned: `zoom` and `resolution` are those
  of the training.
- The square is 2.5 times as long as the mask's longest side, but at least half of `resolution`;
  beyond the border the picture is mirrored.
- Several defects: connect all masks together, then cut each with **Crop Another Mask**.
""",
    "BGDefectCropMask": """
- Needed only where one picture has several defects: each has its own mask in the square.
- A mask that lies outside the square is refused: **Crop to Mask** must have had all masks
  together.
""",
    "BGDefectCropPicture": """
- For the pasted pictures of **Place Defect Mask**: encode these squares with the VAE of the base
  and connect them to `pasted` of **Background/Defect Sampler** or **Background/Defect Guider**.
- One picture for each square, of the size of the pictures that **Crop to Mask** had.
""",
    "BGDefectStitch": """
- Outside the feather band the result is the input, value by value; the band's width is set in
  **Crop to Mask**.
- With more samples than pictures, sample i goes into picture i modulo their number.
- With `normal` connected, a pixel that did not change is the picture's own, also inside the mask;
  one that changed by half of the range or more is the decoder's. Connect what **Refine Defect
  Mask** gets.
- Samples that start from a real defect are sharp only with `pasted`, `pasted_normal` and `start`:
  without them the VAE's blur lies on the defect. Crop `pasted` of **Place Defect Mask** by **Crop
  Another Picture**, encode, decode, and connect the result to `pasted_normal`.
""",
    "BGDefectQuality": """
| figure | meaning |
|---|---|
| strength | with `real`: strongest tenth of the change towards the real defects, 0..1 |
| | without: 95th percentile of any change inside the mask, 0..1 |
| contrast | strength over the variation of the surroundings |
| fill | share of the requested mask that the refined one covers |
| background psnr, max | result against input outside the seam: 100 dB and 0 are "identical" |
| latent background psnr | what the sampler itself did to the background, before stitching |

- With `only_good` and no good sample, the nodes after it do not run; the report still says why.
""",
    "BGDefectPreview": """
- Left the sample, then its outlines, then the heat map: black to yellow.
- The lines run just outside the masks, so that nothing of the defect is covered.
""",
    "BGDefectSaveDataSet": """
    output/FOLDER/OBJECT/train/good/*.png                   good pictures, each once
    output/FOLDER/OBJECT/test/DEFECT/00000.png              accepted samples
    output/FOLDER/OBJECT/ground_truth/DEFECT/00000_mask.png their labels
    output/FOLDER/extras/OBJECT/DEFECT/                     manifest.jsonl, requested masks, heat
maps, rejected samples, workflows

- Numbers go on after the last sample of an earlier run; nothing is overwritten.
- `folder` stays below ComfyUI's output folder: "..", absolute paths and links are refused.
- The manifest names figures, verdict, seed and workflow of every sample (no workflow with
  `--disable-metadata`).
""",
}
