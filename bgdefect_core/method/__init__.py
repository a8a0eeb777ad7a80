"""The method, one equation a file.

Read in this order: ``schedule``, ``regions``, ``attention`` (Eq. 10, 11), ``predictor``, ``loss``
(Eq. 5-7), ``inversion`` (Eq. 8), ``backgrounds``, ``sampling`` (Eq. 9), ``signals``, ``refinement``
(Eq. 13). docs/method.md holds the equations and the numbered choices.

Notation, in all files:

``z_0``, ``z_t``   latents of a picture, and with the noise of timestep ``t``: ``[B, C, h, w]``
``z*_t``, ``z~_t``  latents while sampling, and of the inversion
``eps``            noise, drawn or predicted
``alpha_t``        the cumulative noise schedule
``m``              mask at latent size: bool ``[B, 1, h, w]``, True = defect
``level``          index into the steps of a run, 0 = picture, ``steps`` = noise
``C_1``, ``C_2``   prompts ``[C_def, C_bg]`` and ``[C_m, C_bg]``: defect, background, mask
``B``, ``P``       samples of a batch, pairs of picture and mask
"""
