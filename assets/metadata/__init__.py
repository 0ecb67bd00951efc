"""The metadata of assets: numbers, tables, links to code."""
