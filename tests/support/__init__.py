"""What several folders of tests share: parties with real keys, and the whole exchange driven by hand."""
