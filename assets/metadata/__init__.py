"""What Dagster shows of an asset: facts, tables, links to code."""
