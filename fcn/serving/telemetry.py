"""What the server counts, in the text format that Prometheus reads."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

_STAGES = 'decode', 'forward', 'draw', 'all'
_HELP = {
    'fcn_requests_total': ('counter', 'Answers, by status.'),
    'fcn_images_total': ('counter', 'Images, by what came of them.'),
    'fcn_seconds_total': ('counter', 'Seconds spent on images, by stage.'),
    'fcn_queue_length': ('gauge', 'Images that wait or are computed.'),
    'fcn_queue_limit': ('gauge', 'Images that may wait.'),
    'fcn_uploads': ('gauge', 'Bodies that are being read.'),
    'fcn_results_bytes': ('gauge', 'Bytes of results that are kept.'),
    'fcn_engine_up': ('gauge', 'Whether the process of the engine runs.'),
    'fcn_engine_starts_total': ('counter', 'Starts of the engine.'),
    'fcn_resident_bytes': ('gauge', 'Resident memory, by process.'),
}


class Telemetry:
    """Counts answers, images and seconds."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.images: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
        self.seconds = dict.fromkeys(_STAGES, 0.0)
        self.uploads = 0

    def answered(self, status: int) -> None:
        self.answers[status] += 1

    def failed(self, outcome: str) -> None:
        self.images[outcome] += 1

    def segmented(self, done: dict[str, Any], seconds: float) -> None:
        """Count an image that was segmented, in so many seconds, by the engine's account."""
        self.images['segmented'] += 1
        self.seconds['decode'] += done['decode']
        self.seconds['draw'] += done['draw_image']
        self.seconds['all'] += seconds
        for result in done['results']:
            self.seconds['forward'] += result['forward']
            self.seconds['draw'] += result['draw']

    def text(self, **gauges: Any) -> str:
        """Return all metrics; `gauges` holds values, or {label: {its value: number}}, by name."""
        values: dict[str, Any] = {
            'fcn_requests_total': {'status': self.answers},
            'fcn_images_total': {'outcome': self.images},
            'fcn_seconds_total': {'stage': self.seconds},
            'fcn_uploads': self.uploads,
            **gauges,
        }
        lines = []
        for name, (kind, about) in _HELP.items():
            lines += [f'# HELP {name} {about}', f'# TYPE {name} {kind}']
            value = values[name]
            if isinstance(value, dict):
                for label, numbers in value.items():
                    for key, number in sorted(numbers.items()):
                        lines.append(f'{name}{{{label}="{key}"}} {number}')
            else:
                lines.append(f'{name} {value}')
        return '\n'.join(lines) + '\n'


_OUTCOMES = 'segmented', 'refused', 'crashed', 'dropped', 'turned_away'


def resident_bytes(pid: int | None) -> int:
    """Return the resident memory of a process; 0 if there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f'/proc/{pid}/status').read_text().splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) << 10
    return 0
