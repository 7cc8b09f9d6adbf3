import { assert } from 'chai';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { skip } from '../fixtures/serverVersion';

const NIGHTLY = join(__dirname, '..', '..', '..', '.ci', 'nightly');

/** With an npm that only writes down what it was asked for, and how many processes ran beside it. */
suite('.ci/nightly', () => {
    let folder: string;

    suiteSetup(function () {
        if (spawnSync('pgrep', ['--version']).error !== undefined) skip(this, 'pgrep is missing');
    });

    setup(() => {
        folder = mkdtempSync(join(tmpdir(), 'nightly-'));
        program('valkey-server', 'echo "Valkey server v=8.1.0"');
        program('keydb-server', 'echo "KeyDB server v=6.3.4"');
    });

    teardown(() => rmSync(folder, { recursive: true }));

    function program(name: string, script: string): string {
        const path = join(folder, name);
        writeFileSync(path, `#!/bin/bash\n${script}\n`);
        chmodSync(path, 0o755);
        return path;
    }

    /** @param failing the steps that fail, by a part of what npm is asked for */
    function nightly(servers: string, failing = 'nothing'): { status: number | null; stdout: string; asked: string[] } {
        const log = join(folder, 'log');
        program(
            'npm',
            `beside=$(pgrep -c -P $PPID)
             echo "\${REDIS_SERVER:-} $* beside $((beside - 1))" >> ${log}
             [[ "$* \${REDIS_SERVER:-}" != *"${failing}"* ]]`,
        );
        const env = { PATH: `${folder}:/usr/bin:/bin`, REDIS_SERVERS: servers };
        const { status, stdout } = spawnSync('bash', [NIGHTLY], { env, encoding: 'utf8' });
        return { status, stdout, asked: readFileSync(log, 'utf8').trim().split('\n') };
    }

    test('runs the tests on every server that it is given, and beside eight busy processes', () => {
        const { status, stdout, asked } = nightly(`${join(folder, 'valkey-server')}:${join(folder, 'keydb-server')}`);
        assert.strictEqual(status, 0, stdout);
        assert.include(asked, `${join(folder, 'valkey-server')} run --silent test:suite beside 0`);
        assert.include(asked, `${join(folder, 'keydb-server')} run --silent test:suite beside 0`);
        assert.include(asked, ' run --silent test:suite beside 8');
        assert.match(asked.at(-1) ?? '', /bench beside 0$/);
        assert.include(stdout, '== tests on KeyDB server v=6.3.4');
        assert.include(stdout, '== tests beside eight busy processes');
        assert.match(stdout, /Nightly: passed\n$/);
    });

    test('runs the other steps, too, when one fails, and names it at the end', () => {
        const { status, stdout, asked } = nightly(join(folder, 'keydb-server'), 'keydb');
        assert.strictEqual(status, 1);
        assert.match(stdout, /\nNightly: failed: tests on KeyDB server v=6\.3\.4\n$/);
        assert.match(asked.at(-1) ?? '', /bench/);
    });

    test('ends where nothing can be installed', () => {
        const { status, asked } = nightly('', 'ci');
        assert.strictEqual(status, 1);
        assert.lengthOf(asked, 1);
    });
});
