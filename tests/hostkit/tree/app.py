"""The host starts here; tests start the stand-in by hostkit.kit."""
