"""A load generator that tells the truth: open loop, intended times, percentiles, no means.

It asks this server, a SageMaker endpoint, or any other that speaks HTTP/1.1. One thread and epoll
do all the work: event loops cost more for each request than a small answer does, and their timers
are a millisecond coarse.
"""
