"""Loggers take losses, pictures and scores of a run to where people look at them, such as TensorBoard."""
