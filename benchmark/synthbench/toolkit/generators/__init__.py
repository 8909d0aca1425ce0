"""Base classes of trained generators: `joint` draws image and mask together, `mask_to_image` an image for a mask."""
