"""Why a detector fails: matches across categories, error types, confusions, landmark errors, curves."""
