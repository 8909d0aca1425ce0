"""Trained generators and segmenters used outside of a study: which one, its samples, and its predictions."""
