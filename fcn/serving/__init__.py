"""The page that shows what nets see and how they learn: a server for the browsers of one machine,
or of a network that is trusted.

`app` answers requests; `desk` lines up the images that are to be segmented; `process` keeps the one
child process that holds the engine, and `engine` is what runs in it. `catalogue` knows the nets and
runs at hand, `guard` whom to answer. `static/` is the page itself, without a build step.
"""
