"""When what was said happened, or is to happen."""
