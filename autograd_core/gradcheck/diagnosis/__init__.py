"""From a disagreement to its cause: which argument, which elements, which mistake."""
