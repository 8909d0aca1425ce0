"""Base class of segmenters with one torch network, `network_segmenter`, and the training of one, `network_training`."""
