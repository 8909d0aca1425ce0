"""Building blocks that several networks share, and ways to apply a network to an image.

Import from the modules; importing this package imports none of them.

cycle_spinning
    `cycle_spin` averages predictions over shifts of the input.
discriminators
    `PatchDiscriminator` classifies overlapping patches; `MultiscaleDiscriminator` does so at several resolutions.
initialisation
    `initialise_normal`, `initialise_xavier`: initial weights of convolutions.
padding
    `extend_by_reflection`, and `at_multiple`, which applies a network at sides that suit it.
residual_refinement
    `ResidualRefinement` corrects planes by two convolutions at full resolution.
resnet_generator
    `ResNetGenerator`, the image-to-image network of CycleGAN and pix2pixHD.
tiles
    `predict_tiled` applies a network to images of any size.
upsampling
    `upsample2x` is bilinear upsampling with the same result and a fast gradient on every device.
"""
