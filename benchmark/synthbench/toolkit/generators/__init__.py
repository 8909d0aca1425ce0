"""Base classes of trained generators: `mask_to_image` draws an image to a mask that a sampler gives."""
