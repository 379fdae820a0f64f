"""Any number of rows, for a model that was compiled for a few numbers of them."""

from collections.abc import Iterable

from serving.codecs import Outputs
from serving.engines import rows
from serving.errors import BadRequest, PredictionError


def padded(call: rows.Call, sizes: Iterable[int]) -> rows.Call:
    """A call that takes any number of rows, of one that takes as many as one of ``sizes`` says.

    Rows are filled up to the smallest size that holds them, with copies of the last one, and the
    answer is cut. More than the largest size has go in batches of that, and the rest as above.
    """
    ordered = sorted(sizes)
    largest = ordered[-1]
    batched = {size: rows.in_batches(_checked(call, size), size) for size in ordered}

    def call_padded(data: rows.Arrays) -> Outputs:
        count = _count(data)
        whole = count // largest * largest
        answers = []
        if whole:
            answers.append(batched[largest]({name: a[:whole] for name, a in data.items()}))
        if whole < count:
            size = next(size for size in ordered if size >= count - whole)
            answers.append(batched[size]({name: a[whole:] for name, a in data.items()}))
        return answers[0] if len(answers) == 1 else rows.concatenate(answers)

    return call_padded


def exact(call: rows.Call, sizes: Iterable[int]) -> rows.Call:
    """A call that refuses other numbers of rows, since padding would change the answer."""
    ordered = sorted(sizes)

    def call_exact(data: rows.Arrays) -> Outputs:
        count = _count(data)
        if count not in ordered:
            raise BadRequest(
                f"The model takes {' or '.join(map(str, ordered))} rows at once, since the answer "
                f"to a row depends on the others; the body has {count}."
            )
        return call(data)

    return call_exact


def _checked(call: rows.Call, size: int) -> rows.Call:
    """The call, which has to answer row by row: else its answer cannot be cut."""

    def checked(data: rows.Arrays) -> Outputs:
        outputs = call(data)
        for name, values in outputs.items():
            if values.shape[:1] != (size,):
                raise PredictionError(
                    f"The model answered {size} rows with {name} of shape {values.shape}."
                )
        return outputs

    return checked


def _count(data: rows.Arrays) -> int:
    return len(next(iter(data.values())))
