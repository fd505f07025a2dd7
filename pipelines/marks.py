"""Which functions of a code file are marked, and with what. The file is parsed, never executed."""

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping

from pipelines.files import FileFault, TextFile, shown


def parse_code(source: TextFile) -> ast.Module:
    """Return the syntax tree; raise FileFault with line and column for what is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a "\d" in users' code is theirs to be told of, when it runs
            return ast.parse(source.text)
    except SyntaxError as error:
        at = f" at column {error.offset}" if error.offset else ""
        line = source.text.split("\n")[error.lineno - 1] if error.lineno else ""
        hint = f"The line is: {shown(line.strip())}" if line.strip() else ""
        message = f"Syntax error{at}: {error.msg}."
        raise FileFault(message, file=source.path, line=error.lineno, column=error.offset, hint=hint) from None
    except (ValueError, RecursionError, MemoryError):
        message = "The code is nested too deeply to be read."
        raise FileFault(message, file=source.path, hint="Simplify the longest expression.") from None


def marks(tree: ast.Module) -> list[tuple[str, int]]:
    """Return (decorator, line) of the decorated functions at module level, by the decorator's own name."""
    names = renamed(tree)
    return [
        (mark_of(decorator, names), function.lineno)
        for function in functions(tree.body)
        for decorator in function.decorator_list
    ]


def mark_of(decorator: ast.expr, names: Mapping[str, str]) -> str:
    """Return a decorator's own name; `names` has the others it may go by in this file."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return names.get(name, name)


def renamed(tree: ast.Module) -> dict[str, str]:
    """Return what is imported under another name: that name → its own."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}


def functions(body: Iterable[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the functions and classes of a module, also those under `if` and `try`."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from functions(child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt))
