"""Training: patches and batches, the loop and its checkpoints, schedules, budget defaults, threshold tuning."""
