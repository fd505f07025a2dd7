"""Which blocks a streaming pipeline has, and what to do about those that cannot run here. Code is never imported."""

import re

# By type: what marks the class or the function in a block's code.
STREAM_MARKS = {
    "data_loader": ("streaming_source",),
    "transformer": ("transformer",),
    "data_exporter": ("streaming_sink",),
}
CONNECTOR = re.compile(r"^\s*connector_type:\s*[\"']?([\w.-]+)", re.MULTILINE)
LIBRARIES = {
    "activemq": "stomp.py",
    "amazon_s3": "boto3",
    "azure_data_lake": "azure-storage-file-datalake",
    "azure_event_hub": "azure-eventhub",
    "bigquery": "google-cloud-bigquery",
    "clickhouse": "clickhouse-connect",
    "elasticsearch": "elasticsearch",
    "google_cloud_pubsub": "google-cloud-pubsub",
    "google_cloud_storage": "google-cloud-storage",
    "influxdb": "influxdb-client",
    "kafka": "confluent-kafka",
    "kinesis": "boto3",
    "mongodb": "pymongo",
    "mysql": "mysqlclient",
    "nats": "nats-py",
    "opensearch": "opensearch-py",
    "postgres": "psycopg2",
    "rabbitmq": "pika",
    "redshift": "redshift-connector",
    "snowflake": "snowflake-connector-python",
    "sqs": "boto3",
}


def unsupported_in_stream(kind: str, language: str) -> str:
    """Say why a block of a streaming pipeline cannot be executed here, or ""."""
    if kind not in STREAM_MARKS:
        return (
            f"a {kind} block has no place in a streaming pipeline: it has a data loader, transformers, data exporters"
        )
    if language == "yaml":
        return without_connector(kind, "")
    return "" if language == "python" else f"{language} blocks are not executable in a streaming pipeline"


def without_connector(kind: str, text: str) -> str:
    """Say what to write instead of the connector that a block's YAML names."""
    found = CONNECTOR.search(text)
    name = found[1] if found else ""
    mark = f"@{STREAM_MARKS.get(kind, ('transformer',))[0]}"
    library = f"the client library ({LIBRARIES[name]})" if name in LIBRARIES else "its client library"
    connector = f"the connector {name}" if name else "the connector that its YAML names"
    return f"{connector} is not built in here; write the block in Python, as a class marked {mark} that uses {library}"
