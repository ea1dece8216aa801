"""The record of each decision: its inputs, its entry in the decision log, its verification."""
