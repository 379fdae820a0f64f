"""The images: what they are made of, and what is done with them. `./build.sh` runs this package.

It needs nothing but Python's standard library and a Docker engine's client.
"""
