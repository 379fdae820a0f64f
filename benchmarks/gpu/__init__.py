"""A PyTorch model served on a GPU, beside a bare loop over the same batches.

    python -m benchmarks.gpu

The model is a perceptron of three layers of 4,096, exported with a free number of rows. The loop
copies a batch to the GPU, calls the module and copies its answer back, and does nothing else: it is
what the server could reach if HTTP and batching cost nothing. It runs over batches of one request
and over batches of as many requests as the server is asked at once. Where there is no CUDA device
it ends with status 1 and says so.
"""
