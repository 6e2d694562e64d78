"""`equipoise auto`: many short trainings within a budget, and one model that is picked without labels."""
