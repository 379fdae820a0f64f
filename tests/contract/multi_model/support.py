"""Models as the platform names and answers for them."""

LOADED = {"status": "Workers scaled"}

ODD_NAMES = [
    "with space",
    "100%",
    "%41",
    "a+b&c=d",
    "what?",
    "#1",
    "naïve",
    "模型",
    "team/churn.tar.gz",
    "x/invoke",
    "0e1f2a" * 16,
]


def not_found(name: str) -> tuple[int, str, str]:
    return 404, "ModelNotFoundException", f"Model not found: {name}"
