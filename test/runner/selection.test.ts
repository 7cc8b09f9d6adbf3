import { assert } from 'chai';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { allTests, compiled, testsNamed, unitTests } from './selection';

const TESTS = [
    'test/engine/lease/KeepAlive.test.ts',
    'test/engine/lease/Lease.test.ts',
    'test/lock/RedisLock.test.ts',
    'test/lock/SharedLease.test.ts',
    'test/lock/leases.test.ts',
];

suite('The tests that a name means', () => {
    for (const [name, ...files] of [
        ['test/lock/RedisLock.test.ts', 'test/lock/RedisLock.test.ts'],
        ['./test/lock/RedisLock.test.ts', 'test/lock/RedisLock.test.ts'],
        ['obj/test/lock/RedisLock.test.js', 'test/lock/RedisLock.test.ts'],
        ['src/lock/RedisLock.ts', 'test/lock/RedisLock.test.ts'],
        ['Lease', 'test/engine/lease/Lease.test.ts'],
        ['leases', 'test/lock/leases.test.ts'],
        ['redisl', 'test/lock/RedisLock.test.ts'],
        ['engine/lease', 'test/engine/lease/KeepAlive.test.ts', 'test/engine/lease/Lease.test.ts'],
        ['nothing'],
    ] as const) {
        test(`are ${files.length === 0 ? 'none' : files.join(' and ')} for ${name}`, () => {
            assert.deepEqual(testsNamed(name, TESTS), files);
        });
    }

    test('run from where the build puts them', () => {
        assert.strictEqual(compiled('test/lock/RedisLock.test.ts'), 'obj/test/lock/RedisLock.test.js');
    });
});

suite('The unit tests', () => {
    let root: string;

    setup(() => {
        root = mkdtempSync(join(tmpdir(), 'selection-'));
    });

    teardown(() => rmSync(root, { recursive: true }));

    function write(path: string, text: string): void {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), text);
    }

    test('are listed after those that take long', () => {
        for (const name of ['api/a', 'faults/b', 'lock/c', 'lock/topologies/d']) write(`test/${name}.test.ts`, '');
        const found = allTests(root).map((file) => file.replace('.test.ts', ''));
        assert.deepEqual(found, ['test/faults/b', 'test/lock/topologies/d', 'test/lock/c', 'test/api/a']);
    });

    test('are those that start no server or process, not even through another file', () => {
        write('src/index.ts', "export { one } from './one';");
        write('src/one.ts', "import { join } from 'node:path';");
        write('test/fixtures/RedisServer.ts', '');
        write('test/fixtures/Locks.ts', "import type { RedisServer } from './RedisServer';\nimport '../../src';");
        write('test/fixtures/Cluster.ts', "import {\n    RedisServer,\n} from './RedisServer';");
        write('test/unit.test.ts', "import { one } from '../src';\nimport { Locks } from './fixtures/Locks';");
        write('test/server.test.ts', "import { RedisServer } from './fixtures/RedisServer';");
        write('test/cluster.test.ts', "import { Cluster } from './fixtures/Cluster';");
        write('test/process.test.ts', "import { spawn } from 'node:child_process';");
        write('test/required.test.ts', "const path = require.resolve('./fixtures/Cluster');");
        write('test/model/search.test.ts', '');
        assert.deepEqual(unitTests(root), ['test/unit.test.ts']);
        assert.lengthOf(allTests(root), 6);
    });
});
