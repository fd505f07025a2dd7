"""Lists the data files that ship with the project, with size and checksum as they should be and as they are."""

import hashlib

from demo_project.utils.places import data_file


@custom
def list_data_files(*args, **kwargs):
    files = []
    for line in data_file("SHA256SUMS").read_text().splitlines():
        expected, name = line.split()
        content = data_file(name).read_bytes()
        actual = hashlib.sha256(content).hexdigest()
        files.append({"name": name, "bytes": len(content), "expected": expected, "actual": actual})
        print(f"{name:<40} {len(content):>9,} bytes  {actual[:12]}")
    return files
