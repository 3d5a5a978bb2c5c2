"""`argosy chat`: a conversation in the terminal with a model behind any OpenAI-compatible door.

Pure: `commands` and `settings` (what was typed), `conversation` and `saved` (what was said), `answer` (what comes),
`markdown`, `wrap` and `region` (what is shown of it). Effects: `door` (the network), `editor` (the keyboard),
`painter` (the screen), `clipboard`; `session` and `once` put them together. prompt_toolkit and rich are imported
where they are used, so that nothing else of the command line pays for them.
"""
