"""Opens a page that shows what nets see, and how they learn.

    python serve.py                              http://127.0.0.1:8000, the runs in runs/
    python serve.py DIR …                        runs elsewhere: of another machine, say
    python serve.py voc-fcn8s=FILE.caffemodel    a net with weights of your own
    python serve.py --host 0.0.0.0 --token WORD  for a network that you trust

Nothing is loaded from other machines, and runs are only read.
"""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('serve')
