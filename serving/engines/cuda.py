"""Errors of CUDA after which a process has to be replaced."""

import re

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


def lost(error: BaseException) -> str:
    """The line of a library's exception that says the device is lost to this process, or "".

    PyTorch raises RuntimeError or what derives from it, and ONNX Runtime classes of its own. In
    other exceptions the words may be a client's.
    """
    if not isinstance(error, RuntimeError) and "onnxruntime" not in type(error).__module__:
        return ""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if STICKY.search(line)), "")
