"""The groups of rows. Each module has a TITLE, what its rows mean in ABOUT, and rows(bench), which measures them and
returns lines of Markdown."""
