"""Masks: sampling new ones, and encoding them as planes that a network can draw."""
