"""Scripts that end or exhaust the process they run in, or never come back."""

from tests.reliability.bench import ALONE, HASTY, SCRIPTED, Kind, Site
from tests.reliability.fault import Aftermath, Fault, Section
from tests.reliability.talk import CLOSED, heard, raw
from tests.support import post

GIGABYTE = 2**30


def ask(site: Site, words: str) -> str:
    """Tell the script to do something."""
    with site.client() as client:
        client.send(raw(post(words.encode(), content_type="text/plain")))
        return heard(client)


def deed(
    name: str,
    done: str,
    outcome: str,
    aftermath: Aftermath = Aftermath.STAYS,
    *,
    kind: Kind = SCRIPTED,
    words: str,
) -> Fault:
    """Something that the script does when it is told to."""
    return Fault(name, done, outcome, kind, lambda site: ask(site, words), aftermath)


def print_a_gigabyte(site: Site) -> str:
    outcome = ask(site, "print a gigabyte")
    site.until(lambda: site.drained >= GIGABYTE)
    ask(site, "exit politely")
    site.until(lambda: "SystemExit" in site.server.log)
    return f"{outcome}; the log has all of it, and what comes after"


def fail_amidst_stream(site: Site) -> str:
    with site.client() as client:
        client.send(raw(post(b"stream and fail", content_type="text/plain")))
        client.head()
        assert client.chunk()[1] == b"some"
        assert client.ended()
        return f"200 and the first chunk; {CLOSED} without the last one"


FAILED = "500 PredictionError"
NO_MEMORY = "507 OutOfMemory"

SCRIPTS = Section(
    "Scripts",
    "Two workers, or one where memory leaks. `SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS` is 1 for the "
    "script that never returns.",
    (
        deed("ends its process", "`os._exit(3)`", CLOSED, Aftermath.REPLACED,
             words="exit at once"),
        deed("crashes its process", "reads address 0 (SIGSEGV)", CLOSED, Aftermath.REPLACED,
             words="crash"),
        deed("takes all memory of the container", "SIGKILL, as the kernel sends it", CLOSED,
             Aftermath.REPLACED, words="be killed"),
        deed("takes more memory at once than there is", "a GiB, where 64 MiB are left", NO_MEMORY,
             words="take too much"),
        deed("leaks memory", "16 MiB at a time for ever, where 64 MiB are left", NO_MEMORY,
             kind=ALONE, words="leak"),
        deed("never returns", "waits for ever", "504 DeadlineExceeded", Aftermath.REPLACED,
             kind=HASTY, words="never return"),
        deed("leaves the interpreter", "`sys.exit(3)`", FAILED, words="exit politely"),
        Fault("prints a gigabyte", "1,024 lines of 1 MiB",
              "200; the log has all of it, and what comes after", SCRIPTED, print_a_gigabyte),
        deed("recurses for ever", "a function that calls itself", FAILED, words="recurse"),
        deed("raises what cannot be printed", "an error whose `__str__` fails", FAILED,
             words="raise what cannot be printed"),
        deed("answers nothing", "returns `None`", FAILED, words="answer nothing"),
        Fault("fails amidst a stream", "an error after the first chunk",
              f"200 and the first chunk; {CLOSED} without the last one", SCRIPTED,
              fail_amidst_stream),
    ),
)  # fmt: skip
