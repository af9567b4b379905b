"""Who is served: the devices that are known, their tokens, and what a new one has to do."""
