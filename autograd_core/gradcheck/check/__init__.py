"""The check itself: every look that is taken, in order, and the call that users make."""
