"""Plugin package; replaced by its author."""
