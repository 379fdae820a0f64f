"""How many models fit on one server, and what each costs in memory and in time."""
