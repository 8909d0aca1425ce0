"""Base classes of trained generators: `joint` draws image and mask together, `mask_to_image` an image to a mask."""
