"""Samples whose answers were run or computed: code, chains of reasoning, word problems."""
