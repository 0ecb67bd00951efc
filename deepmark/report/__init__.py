"""The HTML report: what it reads, its tables, plots and images."""
