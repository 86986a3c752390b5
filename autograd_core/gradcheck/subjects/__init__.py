"""What is checked: a function or an operation with its arguments, as one thing that can be called again."""
