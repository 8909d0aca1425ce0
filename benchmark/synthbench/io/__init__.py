"""Files: atomic writes, lossless images, strict YAML, and text made safe to display."""
