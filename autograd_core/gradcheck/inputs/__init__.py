"""Other inputs of the same kind: shapes, layouts and values that the given ones do not show."""
