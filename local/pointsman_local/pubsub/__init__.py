"""Pub/Sub: topics, pull and push subscriptions, over gRPC and REST, on SQLite, with faults on demand.

Google's clients find it by PUBSUB_EMULATOR_HOST. Not imitated, and refused by name: snapshots and seek, schemas,
exactly-once delivery, BigQuery and Cloud Storage subscriptions, message transforms, unwrapped push.
"""

from pointsman_local.pubsub.server import serve

__all__ = ["serve"]
