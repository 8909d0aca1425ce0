"""Processes of this machine: how many can run at once, how they are stopped, and that none is left behind."""
