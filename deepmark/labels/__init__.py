"""Labels out to people and back: tasks for labelling tools, and what people decided."""
