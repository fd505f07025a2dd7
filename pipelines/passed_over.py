"""Files of a Mage project that nothing here acts upon."""

from pathlib import Path

from pipelines.files import stamp_of

FILES = {
    "global_hooks.yaml": "global hooks are not called",
    "global_data_products.yaml": "blocks of type global_data_product cannot be run",
}


def sentences(root: Path) -> list[str]:
    """Say of each that is there what does not happen."""
    return [f"{name} is there, but {what} here" for name, what in FILES.items() if stamp_of(root / name)]
