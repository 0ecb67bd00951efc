"""Ingest and shard of one split by any engine, as a process that says how far it is: one line for each piece done.

    python -m stage_driver ENGINE WORKERS STAGE FOLDER [URL]

FOLDER has raw/; records/ and shards/ are made in it, or shards at URL. A line is the number of images done.
"""

import sys
from pathlib import Path

from deepmark.compute.choose import engine_of
from deepmark.data.ingest.ingest import ingest_split
from deepmark.data.shards.remote import RemoteFolder
from deepmark.data.shards.writer import write_shards
from deepmark.params import ComputeParams, IngestParams
from deepmark.vocabulary import DEEPFASHION2

SPLIT = "train"
TARGET_MIB = 4


def main(engine_name: str, workers: str, stage: str, folder: str, url: str | None = None) -> None:
    engine = engine_of(ComputeParams(engine=engine_name, workers=int(workers) or None))
    raw, records, shards = (Path(folder) / name for name in ("raw", "records", "shards"))
    done = 0

    def say(count: int) -> None:
        nonlocal done
        done += count
        print(done, flush=True)

    if stage == "ingest":
        params = IngestParams(max_rejected_share=0.1, max_megapixels=100)
        ingest_split(raw, split=SPLIT, out=records, params=params, engine=engine, progress=say, vocabulary=DEEPFASHION2)
    else:
        write_shards(
            records / f"{SPLIT}.parquet",
            raw,
            RemoteFolder(url=url, timeout_seconds=60) if url else shards / SPLIT,
            split=SPLIT,
            seed=1,
            target_mib=TARGET_MIB,
            engine=engine,
            progress=say,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
