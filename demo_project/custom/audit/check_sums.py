"""Compares the checksums: a file that was edited by accident would spoil every figure made of it."""

import logging

log = logging.getLogger("audit")


@custom
def check_sums(files, *args, **kwargs):
    changed = [file["name"] for file in files if file["expected"] != file["actual"]]
    for name in changed:
        log.error("%s is not the file that was shipped", name)
    print(f"{len(files) - len(changed)} of {len(files)} files are as shipped")
    return changed
