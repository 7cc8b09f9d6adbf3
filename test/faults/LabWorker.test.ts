import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { freePort } from '../fixtures/freePort';
import { rejection } from '../fixtures/rejection';
import { PACE } from './Pace';
import { LabWorker } from './LabWorker';

suite('A worker of the lab', () => {
    let folder = '';

    setup(() => (folder = mkdtempSync(join(tmpdir(), 'worker-'))));
    teardown(() => rmSync(folder, { recursive: true }));

    // What it leaves behind fails the run, by the root hooks.
    test('that cannot open its lock leaves no process behind', async () => {
        const port = await freePort();
        const plan = {
            ...{
                client: 'w0',
                history: join(folder, 'history.jsonl'),
                keys: ['key'],
                shared: [],
                permits: false,
                resource: port,
                seed: 1,
                pace: PACE,
            },
            library: join(__dirname, '..', '..', 'src'),
            config: { 'connection.host': '127.0.0.1', 'connection.port': port, 'options.connect_timeout': 200 },
        };
        const failure = await rejection(LabWorker.start(plan, []));
        assert.match(failure.message, /^w0: .*CONNECTION_FAILED/);
    });
});
