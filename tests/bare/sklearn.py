"""In the place of scikit-learn for the servers of tests: no image has it.

XGBoost imports it where it is installed, which takes more than half of the time a server needs to
start.
"""

raise ModuleNotFoundError("The servers of tests have no scikit-learn.", name="sklearn")
