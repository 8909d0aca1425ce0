"""What each kind of task does: one file each, found by the kind's name."""
