"""The HTTP host: a gunicorn worker of our own on uvloop and httptools."""
