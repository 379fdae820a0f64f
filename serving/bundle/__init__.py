"""Packages for where no image is accepted: a zip with all that a function needs to answer."""
