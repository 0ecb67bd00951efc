"""An S3 endpoint on a machine of a cluster, with a bucket that is watched: which sizes its objects were ever seen with.

    python -m storage_watch HOST PORT BUCKET STOP

It serves, makes the bucket, says `ready`, and lists it ten times a second until the file STOP is there. Then it prints,
as JSON, the sizes that each object was listed with, and the sha256 of each. AWS_ENDPOINT_URL is its own.
"""

import hashlib
import json
import logging
import sys
import time
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

EVERY_SECONDS = 0.1


def main(host: str, port: str, bucket: str, stop: str) -> None:
    logging.getLogger("werkzeug").setLevel(
        logging.ERROR
    )  # a line for each request would fill the pipe that nobody reads
    server = ThreadedMotoServer(ip_address=host, port=int(port), verbose=False)
    server.start()
    client = boto3.client("s3")
    client.create_bucket(Bucket=bucket)
    print("ready", flush=True)
    sizes: dict[str, set[int]] = {}
    while not Path(stop).exists():
        for found in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            sizes.setdefault(found["Key"], set()).add(found["Size"])
        time.sleep(EVERY_SECONDS)
    sums = {
        found["Key"]: hashlib.sha256(client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()).hexdigest()
        for found in client.list_objects_v2(Bucket=bucket)["Contents"]
    }
    print(json.dumps({"sizes": {name: sorted(seen) for name, seen in sizes.items()}, "sha256": sums}))
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
