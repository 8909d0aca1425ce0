"""Intensities: normalisation, intensity statistics and conditioning on them, texture, pixel noise."""
