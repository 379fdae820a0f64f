"""What the toolkit costs a Lambda function's first answer.

Run it with ``python -m benchmarks.coldstart`` from the root of the repository.
"""
