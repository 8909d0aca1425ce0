"""Building blocks that several networks share, and ways to apply a network to an image.

Import from the modules; importing this package imports none of them.

cycle_spinning
    `cycle_spin` averages predictions over shifts of the input.
residual_refinement
    `ResidualRefinement` corrects planes by two convolutions at full resolution.
tiles
    `predict_tiled` applies a network to images of any size.
upsampling
    `upsample2x` is bilinear upsampling with the same result and a fast gradient on every device.
"""
