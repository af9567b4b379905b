"""Which release the stand-in is: set when the tree is copied. (0, 9, 7) is the main branch after 0.9.6."""

VERSION = (0, 9, 6)
