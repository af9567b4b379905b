"""The core facts of an owner: what kinds there are, how they are found, written, read and asked for."""
