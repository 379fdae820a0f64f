"""Model archives: a model's folder as one ``model.tar.gz``.

The contract is SageMaker's. ``CreateModel`` takes a gzip-compressed tar whose members are relative
to the model's folder; before the container starts, SageMaker unpacks it into ``/opt/ml/model`` and
mounts that read-only. There, nothing is left for this package to do. On premises it does the same
work: `fetch` turns a directory, an archive or an address into a directory to load, `borrow` into
one that is removed when nobody uses it and a newer version has taken its place; `extract` unpacks
one archive and trusts nothing in it, and `pack` makes an archive that either side takes.

Everything refused is an `~serving.errors.ArchiveError` that says what and why.
"""

from serving.archives.extract import extract
from serving.archives.fetch import borrow, fetch
from serving.archives.leases import Lease
from serving.archives.pack import Packed, pack

__all__ = ["Lease", "Packed", "borrow", "extract", "fetch", "pack"]
