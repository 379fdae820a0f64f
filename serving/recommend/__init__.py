"""Settings for a model on this machine, found by trying: what takes the most load in time.

What Amazon SageMaker Inference Recommender does for instances, for one machine at hand.
"""
