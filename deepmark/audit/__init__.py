"""Labels that somebody should look at: outlier scores, comparison with the model, duplicates, the page."""
