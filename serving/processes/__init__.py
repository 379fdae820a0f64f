"""Models in processes of their own, for those that bring a user's code.

Two scripts may bring modules of one name, block the interpreter, or end their process; none of it
reaches another model, and what a process held is free when it ends. Each is forked from a
*template*, a small process that has imported what every model needs and has no threads: a fork
takes milliseconds, and the pages stay shared until one of them writes.

::

    server                              template                   a model's process
    ModelProcess ── Launcher ─packets─▶ Template ──fork──▶         Host ── Application
         └────────────────────── frames on a pair of sockets ────────┘
"""
