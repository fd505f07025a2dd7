"""Settings of the tests: a data folder of their own; SQLite, or the Postgres that TEST_DATABASE=postgres asks for."""

import os
import tempfile

os.environ["ORCHESTRATOR_DATA_DIR"] = tempfile.mkdtemp(prefix="orchestrator-tests-")
os.environ.pop("REDIS_URL", None)
os.environ.pop("DATABASE_URL", None)
if os.environ.get("TEST_DATABASE") == "postgres":
    os.environ["DATABASE_URL"] = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")

from orchestrator_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if os.environ.get("TEST_DATABASE") == "postgres":  # several test runs may share one server
    DATABASES["default"]["TEST"] = {"NAME": f"test_orchestrator_{os.getpid()}"}  # noqa: F405
