"""Errors of CUDA after which a process has to be replaced, and those of memory that is full."""

import re

from serving.errors import DeviceLost, OutOfMemory, PredictionError

STICKY = re.compile(
    r"illegal memory access|illegal instruction|misaligned address|invalid program counter"
    r"|unspecified launch failure|launch timed out|hardware stack error|device-side assert"
    r"|operation not supported on global/shared address space|uncorrectable (ECC|NVLink) error"
    r"|CUDA (driver )?error: unknown error"
    r"|cudaError(IllegalAddress|IllegalInstruction|MisalignedAddress|InvalidPc|LaunchFailure"
    r"|LaunchTimeout|HardwareStackError|Assert|InvalidAddressSpace|ECCUncorrectable"
    r"|NvlinkUncorrectable|Unknown)\b"
)
"""What CUDA calls the errors after which its reference says that the process must end before CUDA
can be used again, and those of broken memory and of unknown cause. Others pass, such as "out of
memory" and "invalid argument": a new process would cost a load of the model and mend nothing."""


EXHAUSTED = re.compile(
    r"out of memory|Failed to allocate memory|can't allocate memory|std::bad_alloc"
)
"""What CUDA, ONNX Runtime and PyTorch say, and C++, where there is no memory left."""


def lost(error: BaseException) -> str:
    """The line of a library's exception that says the device is lost to this process, or "".

    PyTorch raises RuntimeError or what derives from it, and ONNX Runtime classes of its own. In
    other exceptions the words may be a client's.
    """
    if not _librarys(error):
        return ""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if STICKY.search(line)), "")


def kind(error: BaseException) -> type[PredictionError]:
    """What an exception is to the client whose request a model has failed with."""
    if lost(error):
        return DeviceLost
    exhausted = _librarys(error) and EXHAUSTED.search(str(error))
    return OutOfMemory if exhausted or isinstance(error, MemoryError) else PredictionError


def _librarys(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) or "onnxruntime" in type(error).__module__
