"""Load tests of whole situations, each described in a small file beside this."""
