"""The web server's process: uvicorn on the socket that its supervisor opened. Run by file name with its descriptor."""

import socket
import sys
from pathlib import Path


def main(argv: list[str]) -> None:
    import uvicorn

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    listener = socket.socket(fileno=int(argv[0]))
    config = uvicorn.Config(
        "orchestrator_site.asgi:application",
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1:])
