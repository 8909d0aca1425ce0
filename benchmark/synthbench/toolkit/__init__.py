"""What plugin authors share: patches, augmentation, codecs, mask samplers, decoding, the training loop. Public API."""
