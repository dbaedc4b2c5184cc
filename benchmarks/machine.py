"""What a page says about the machine that its figures come from."""

import platform
import subprocess
from pathlib import Path


def processor() -> str:
    """Return the name of the processor as the kernel knows it."""
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    models = {line.partition(': ')[2] for line in lines if line.startswith('model name')}
    return ', '.join(sorted(models)) or platform.machine()


def machine() -> str:
    """Return the processor, the number of cores that this process uses, and the system."""
    # nproc counts no more cores than OMP_NUM_THREADS allows.
    cores = subprocess.run(['nproc'], capture_output=True, text=True, check=True).stdout.strip()
    noun = 'core' if cores == '1' else 'cores'
    return f'{processor()}, {cores} {noun}, {platform.system()} {platform.machine()}'
