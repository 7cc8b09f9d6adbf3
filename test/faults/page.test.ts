import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { assert } from 'chai';
import { check } from './Checker';
import type { HistoryEvent, Occurrence } from './HistoryEvent';
import { timelinePage } from './page';

/** Two holders at a time, a waiter, a killed process, a fault that exempts and one that does not. */
function history(): HistoryEvent[] {
    const lease = (attempt: string, fence: number, key = 'key:0'): object => ({ key, attempt, holder: attempt, fence });
    const held = { held: true };
    const events: [number, string, object][] = [
        [0, 'lab', { operation: 'fault', name: 'worker <frozen>', clients: ['w0'], exempts: [], tail: 0, unheard: 0 }],
        [10, 'w0', { operation: 'try', key: 'key:0', attempt: 'w0-1', patience: 9, ttl: 300 }],
        [20, 'w0', { operation: 'grant', ...lease('w0-1', 1), ...held, deadline: 320 }],
        [30, 'w1', { operation: 'try', key: 'key:0', attempt: 'w1-1', patience: 9, ttl: 300 }],
        [40, 'w1', { operation: 'waiting', key: 'key:0', attempt: 'w1-1' }],
        [900, 'lab', { operation: 'heal', name: 'worker <frozen>' }],
        [200, 'w1', { operation: 'grant', ...lease('w1-1', 2), ...held, deadline: 500 }],
        [300, 'w0', { operation: 'release-start', ...lease('w0-1', 1) }],
        [450, 'w1', { operation: 'lost', ...lease('w1-1', 2), reason: '' }],
        [1000, 'w2', { operation: 'grant', ...lease('w2-1', 3, 'key:1'), ...held, deadline: 1300 }],
        [1100, 'lab', { operation: 'crash', of: 'w2' }],
        [1400, 'lab', { operation: 'fault', name: 'FLUSHALL', clients: null, exempts: ['I1'], tail: 100, unheard: 0 }],
        [1400, 'lab', { operation: 'heal', name: 'FLUSHALL' }],
    ];
    return events
        .map(([at, client, occurrence]) => ({ at, process: 1, client, ...(occurrence as Occurrence) }))
        .sort((one, other) => one.at - other.at);
}

suite('The page of the fault lab', () => {
    const page = timelinePage([check(history())], 'npm run faults');

    test('is well-formed: each tag is closed by its own', () => {
        const open: string[] = [];
        const body = page.replace(/^<!DOCTYPE html>\n/, '').replaceAll(/<style>[^]*?<\/style>/g, '');
        for (const [tag, slash, name = '', end] of body.matchAll(/<(\/?)([a-zA-Z][\w]*)[^<>]*?(\/?)>/g)) {
            if (end === '/' || name === 'meta') continue;
            if (slash === '/') assert.strictEqual(open.pop(), name, tag);
            else open.push(name);
        }
        assert.deepEqual(open, []);
        assert.notMatch(body.replaceAll(/<\/?[a-zA-Z][^<>]*>/g, ''), /[<>]/);
    });

    test('has keys as lanes, holders as bars, waiters, faults as bands and the violation marked', () => {
        const count = (pattern: RegExp): number => [...page.matchAll(pattern)].length;
        assert.deepEqual(
            [...page.matchAll(/data-key="([^"]*)"/g)].map(([, key]) => key),
            ['key:0', 'key:1'],
        );
        assert.strictEqual(count(/<g class="holder">/g), 3);
        assert.strictEqual(count(/<rect class="waiter"/g), 1);
        assert.strictEqual(count(/<g class="fault">/g), 2);
        assert.strictEqual(count(/<g class="violation"/g), 2);
        assert.match(page, /worker &lt;frozen&gt;, touches w0</);
        assert.match(page, /FLUSHALL, touches all; not promised: I1/);
        assert.match(page, /w2, fence 3: 1\.000 s to 1\.100 s, killed/);
        assert.match(page, /w1, fence 2: 0\.200 s to 0\.450 s, lost/);
    });

    test('leads from what was found to its place, and says what is promised', () => {
        assert.match(page, /<title>Fault lab: 2 violations<\/title>/);
        for (const [, id = ''] of page.matchAll(/href="#([^"]*)"/g)) assert.include(page, `id="${id}"`);
        assert.match(page, /I1<\/a>, one holder per key at a time: w1 and w0 held key:0 for 100\.0 ms together/);
    });

    test('draws holders that overlap below each other', () => {
        const rows = [...page.matchAll(/<g class="holder"><rect [^>]* y="(\d+)"/g)].map(([, y]) => y);
        assert.strictEqual(new Set(rows).size, 3);
    });

    test('says that nothing is broken where nothing is', () => {
        assert.match(timelinePage([check([])], ''), /No promise was broken/);
    });

    test('is shown by a browser, with each lane at its place', function () {
        this.timeout(60_000);
        const browser = browserPath();
        if (browser === undefined) {
            console.log('      left out: there is no Chromium');
            this.skip();
        }
        const folder = mkdtempSync(join(tmpdir(), 'page-'));
        try {
            const path = join(folder, 'page.html');
            const measure = `<script>addEventListener('load', () => {
                const boxes = [...document.querySelectorAll('svg .lane, svg .holder, svg .violation')].map((one) => one.getBoundingClientRect());
                document.title = 'drawn ' + boxes.filter(({ width, height }) => width > 0 && height > 0).length;
            })</script>`;
            writeFileSync(path, page.replace('</body>', `${measure}</body>`));
            const args = [
                '--headless',
                '--no-sandbox',
                '--disable-gpu',
                `--user-data-dir=${folder}/profile`,
                '--dump-dom',
            ];
            const shown = execFileSync(browser, [...args, `file://${path}`], { encoding: 'utf8', stdio: 'pipe' });
            assert.strictEqual(/<title>(drawn \d+)<\/title>/.exec(shown)?.[1], 'drawn 7');
        } finally {
            rmSync(folder, { recursive: true, force: true });
        }
    });
});

function browserPath(): string | undefined {
    const folders = (process.env['PATH'] ?? '').split(delimiter);
    return folders
        .flatMap((folder) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)))
        .find((path) => existsSync(path));
}
