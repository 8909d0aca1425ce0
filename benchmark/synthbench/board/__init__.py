"""Boards: frozen studies to which results are added as bundles: see `model`, `joining` and `checking`."""
