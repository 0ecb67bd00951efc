from deepmark.tracking.flatten import flatten


def test_the_leaves_of_nested_dictionaries_are_named_by_the_keys_on_their_path():
    tree = {"train": {"epochs": 2, "augment": {"scale": [0.8, 1.2]}}, "seed": None, "empty": {}}

    assert list(flatten(tree)) == [("train.epochs", 2), ("train.augment.scale", [0.8, 1.2]), ("seed", None)]
    assert next(flatten(tree, " ")) == ("train epochs", 2)
