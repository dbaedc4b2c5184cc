"""The page in a real browser: Debian's Chromium, without a window.

With FCN_SCREENSHOTS=DIR in the environment, pictures of what is seen are kept there.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import ROOT

import fcn

pytestmark = pytest.mark.slow

CHROMIUM, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
if not (CHROMIUM and DRIVER):
    pytest.skip('needs chromium and chromium-driver', allow_module_level=True)
pytest.importorskip('fastapi')
webdriver = pytest.importorskip('selenium.webdriver')
Select = pytest.importorskip('selenium.webdriver.support.ui').Select

FLAGS = (
    '--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking '
    '--disable-component-update --disable-sync --disable-dev-shm-usage'
)
DRAWN = 'mini-fcn8s'  # with weights that tell pixels apart
DRAWN_ID = f'file:{DRAWN}={DRAWN}.caffemodel'
RUN = 'mini-fcn16s'
CSS = 'css selector'
PATIENCE = 60.0  # seconds


class Page:
    """The page in a browser."""

    def __init__(self, browser: Any, home: str, runs: Path) -> None:
        self.browser, self.home, self.runs = browser, home, runs

    def open(self, view: str) -> None:
        self.browser.get('about:blank')
        self.browser.get(f'{self.home}/#{view}')

    def find(self, css: str) -> Any:
        self.until(lambda: self.browser.find_elements(CSS, css))
        return self.browser.find_element(CSS, css)

    def text(self, css: str = 'main') -> str:
        return self.find(css).text

    def until(self, true: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, self.browser.find_element('tag name', 'body').text
            time.sleep(0.1)

    def choose(self, letter: str, net: str) -> None:
        Select(self.find(f'#net-{letter}')).select_by_value(net)

    def upload(self, file: Path) -> None:
        self.find('input[type=file]').send_keys(str(file))

    def picture(self, name: str) -> None:
        if folder := os.environ.get('FCN_SCREENSHOTS'):
            self.browser.save_screenshot(str(Path(folder) / f'{name}.png'))

    def assert_quiet(self) -> None:
        """Assert that the browser found no fault with the page, such as a blocked script."""
        severe = [line for line in self.browser.get_log('browser') if line['level'] == 'SEVERE']
        assert not [line for line in severe if '/api/' not in line['message']], severe


@pytest.fixture(scope='module')
def weights(drawn_weights: Callable[[str], Path]) -> Path:
    return drawn_weights(DRAWN)


@pytest.fixture(scope='module')
def page(trained: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp('browser')
    shutil.copytree(trained / 'runs', folder / 'runs')
    with subprocess.Popen(
        [
            *(sys.executable, ROOT / 'serve.py', folder / 'runs', f'{DRAWN}={weights}'),
            *('--port', '0', '--gpu', '-1'),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    ) as server:
        assert server.stdout
        found = re.search(r'http://\S+', server.stdout.readline())
        assert found
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS.split(), f'--user-data-dir={folder / "profile"}'):
            options.add_argument(flag)
        options.add_argument('--window-size=1300,1000')
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
        try:
            yield Page(browser, found[0], folder / 'runs')
        finally:
            browser.quit()
            server.send_signal(signal.SIGINT)
            assert server.wait(30) is not None


@pytest.fixture(scope='module')
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    file = tmp_path_factory.mktemp('photo') / 'photo.png'
    Image.fromarray(blocks.repeat(8, 0).repeat(8, 1)).save(file)
    return file


def test_a_photo_is_segmented_compared_and_read(page: Page, photo: Path, weights: Path) -> None:
    page.open('try')
    page.choose('A', f'run:{RUN}')
    page.choose('B', DRAWN_ID)
    page.upload(photo)
    page.until(lambda: '240 × 160' in page.text('[role=status]'))
    page.until(lambda: page.browser.find_elements(CSS, 'tbody tr'))
    segmenters = [fcn.load(page.runs / RUN, gpu=-1), fcn.load(DRAWN, weights, gpu=-1)]
    labels = [segmenter(photo).labels for segmenter in segmenters]
    canvas, handle = page.find('.frame canvas'), page.find('.handle')
    wide, high = canvas.size['width'], canvas.size['height']
    for x, y in ((60, 40), (200, 100)):
        offset = round(x / 240 * wide - wide / 2), round(y / 160 * high - high / 2)
        webdriver.ActionChains(page.browser).move_to_element_with_offset(canvas, *offset).perform()
        page.until(lambda: 'sees' in page.text('.read'))
        found = re.match(r'\((\d+), (\d+)\): A (\S+) \d+ %, B (\S+) \d+ %', page.text('.read'))
        assert found, page.text('.read')
        at = int(found[2]), int(found[1])
        assert abs(at[1] - x) <= 2 and abs(at[0] - y) <= 2
        classes = segmenters[0].classes
        assert [found[3], found[4]] == [classes[each[at]] for each in labels]
    page.picture('try')
    before = handle.get_attribute('aria-valuenow')
    handle.send_keys(webdriver.Keys.ARROW_RIGHT * 3)
    assert int(handle.get_attribute('aria-valuenow')) == int(before) + 6
    for mode in ('heat', 'morph'):
        Select(page.find('#mode')).select_by_value(mode)
        time.sleep(1)
        page.picture(mode)
    page.assert_quiet()


def test_the_painted_labels_are_those_of_the_net(page: Page, photo: Path, weights: Path) -> None:
    """The canvas itself, at full opacity and without outlines, class by class."""
    page.open('try')
    page.choose('A', DRAWN_ID)
    page.choose('B', '')
    page.upload(photo)
    page.until(lambda: '240 × 160' in page.text('[role=status]'))
    page.browser.execute_script("""
        const set = (id, change) => { const it = document.getElementById(id); change(it);
          it.dispatchEvent(new Event('input')); it.dispatchEvent(new Event('change')); };
        set('opacity', (it) => { it.value = 1; });
        set('outlines', (it) => { it.checked = false; });""")
    time.sleep(1)
    flat = page.browser.execute_script("""
        const canvas = document.querySelector('.frame canvas');
        return Array.from(canvas.getContext('2d').getImageData(0, 0, 240, 160).data);""")
    painted = np.array(flat, np.uint8).reshape(160, 240, 4)[..., :3]
    result = fcn.load(DRAWN, weights, gpu=-1)(photo)
    shown = result.labels > 0
    assert len(np.unique(result.labels)) > 2
    assert np.array_equal(painted[shown], result.colours[result.labels][shown])


def test_junk_is_refused_and_the_page_goes_on(page: Page, tmp_path: Path, photo: Path) -> None:
    page.open('try')
    for size, word in ((20_000_000, 'not an image'), (40 << 20, 'scale the picture down')):
        junk = tmp_path / f'{size}.jpg'
        junk.write_bytes(os.urandom(size))
        page.upload(junk)
        page.until(lambda word=word: word in page.text('[role=alert]'))
    page.upload(photo)
    page.until(lambda: '240 × 160' in page.text('[role=status]'))
    assert not page.text('[role=alert]')


def test_a_killed_engine_is_a_message(page: Page, photo: Path) -> None:
    page.open('try')
    page.find('#net-A')
    status = subprocess.run(
        ['pgrep', '-f', 'fcn.serving.engine'], capture_output=True, text=True
    ).stdout.split()
    mine = [int(pid) for pid in status if _child_of_server(int(pid), page)]
    (pid,) = mine
    os.kill(pid, signal.SIGSTOP)
    page.upload(photo)
    page.until(lambda: 'loads' in page.text('[role=status]') or page.find('progress'))
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    page.until(lambda: 'SIGKILL' in page.text('[role=alert]'))
    page.picture('killed')
    page.upload(photo)
    page.until(lambda: '240 × 160' in page.text('[role=status]'))


def _child_of_server(pid: int, page: Page) -> bool:
    """Whether a process is the engine of the server under test."""
    parent = re.search(r'PPid:\s+(\d+)', Path(f'/proc/{pid}/status').read_text())
    assert parent
    command = Path(f'/proc/{parent[1]}/cmdline').read_bytes().decode(errors='replace')
    return str(page.runs) in command


def test_a_training_is_watched_as_it_goes(page: Page, trained: Path) -> None:
    runs = page.runs
    page.open('watch')
    command = [
        *(sys.executable, ROOT / 'solve.py', 'mini-fcn8s', '--data', trained / 'data'),
        *('--runs', runs, '--iterations', '400', '--val-every', '50', '--base-lr', '1e-7'),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as training:
        page.until(lambda: 'mini-fcn8s' in page.text() and '▶ running' in page.text())
        page.find('input[data-run="mini-fcn8s"]').click()
        chosen = page.browser.find_elements(CSS, 'td input:checked')
        for box in chosen:
            if box.get_attribute('data-run') != 'mini-fcn8s':
                box.click()
        page.until(lambda: 'IU of each class' in page.text())
        first = page.text()
        page.until(lambda: page.text() != first)
        page.picture('watch')
        training.send_signal(signal.SIGINT)
        training.wait(60)
    page.until(lambda: '‖ interrupted' in page.text())
    assert 'stopped by SIGINT' in page.text('.log')
    page.open('watch/mini-fcn8s')
    page.find('.card button.main').click()
    page.until(lambda: len(page.browser.find_elements(CSS, '.strip figure')) >= 4)
    page.picture('strip')
    page.assert_quiet()


@pytest.mark.parametrize('view', ['try', 'watch', 'nets', 'nets/run:mini-fcn16s', 'api'])
def test_every_view_fits_a_phone(page: Page, view: str) -> None:
    metrics = {'width': 360, 'height': 740, 'deviceScaleFactor': 1, 'mobile': True}
    page.browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', metrics)
    try:
        page.open(view)
        page.until(lambda: len(page.text()) > 40)
        time.sleep(0.5)
        page.picture(f'phone-{view.split("/")[0]}')
        width = page.browser.execute_script('return document.documentElement.scrollWidth')
        assert width <= 360
        page.assert_quiet()
    finally:
        page.browser.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
