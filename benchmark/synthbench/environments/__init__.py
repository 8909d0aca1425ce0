"""Other environments of this machine that plugins run in: made, registered, and asked what they offer."""
