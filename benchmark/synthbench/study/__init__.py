"""A study from its file to its plan: what it asks for, what that resolves to, and the tasks that follow."""
