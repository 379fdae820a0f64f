"""Lambda@Edge: CloudFront's events in, responses out that a function made itself.

``handler`` answers with a model that lies beside it; ``router`` passes requests on to a server and
is a module on its own. ``serving edge`` makes a package of either.
"""
