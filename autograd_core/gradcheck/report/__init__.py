"""What a check found, in words, numbers, pictures and as data."""
