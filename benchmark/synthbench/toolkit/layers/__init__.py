"""What networks of several methods are made of, or are applied with."""
