"""Models made ready before they are served: what is done once, where there is time and room.

Each module here needs libraries that a server does without, or one kind of machine.
"""
