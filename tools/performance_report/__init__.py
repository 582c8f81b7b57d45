"""The performance report: one document, written from stored runs, as Markdown and as HTML."""
