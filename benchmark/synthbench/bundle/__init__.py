"""A finished run as one file that others can verify: see `writing` and `verifying`."""
