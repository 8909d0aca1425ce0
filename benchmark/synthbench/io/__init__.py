"""Files: written whole or not at all, images without loss, YAML without surprises, text that is safe to show."""
