"""An input that was not accepted, told the same way in a form, the API and the command line."""


class Refusal(ValueError):
    """Say which field was wrong, what was wrong with it and what would be right.

    `message` is one sentence for people; `hint` says what to do instead; `code` is a stable word for programs.
    """

    def __init__(self, message: str, *, field: str = "", hint: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def as_dict(self) -> dict[str, str]:
        """Shape of `error` in every `--json` output: field, message, hint."""
        return {"field": self.field, "message": self.message, "hint": self.hint}
