"""Trained segmenters in formats that other programs open, each compared with the segmenter before it is handed out."""
