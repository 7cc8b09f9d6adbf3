import { assert } from 'chai';
import { Descriptor, References } from 'pip-services4-components-node';
import type { RedisLock } from '../../../src';
import { RedisServer } from '../../fixtures/RedisServer';
import { rejection } from '../../fixtures/rejection';
import { skipWithoutRedis } from '../../fixtures/sharedServer';
import { TcpProxy } from '../../fixtures/TcpProxy';
import { ended, ownClient } from '../../engine/clientOf';
import { lockOf } from '../lockOf';
import type { Settings } from '../lockOf';

suite('What a lock cannot do without is tried when it is opened', function () {
    this.timeout(20_000);
    let warned: string[];
    let lock: RedisLock | undefined;

    suiteSetup(skipWithoutRedis);
    setup(() => {
        warned = [];
        lock = undefined;
    });
    teardown(() => lock?.close(null));

    function make(server: { host: string; port: number }, settings: Settings = {}): RedisLock {
        lock = lockOf(server, settings);
        const logger = {
            debug: () => undefined,
            warn: (_context: unknown, _text: string, text?: unknown) =>
                void warned.push(typeof text === 'string' ? text : _text),
        };
        lock.setReferences(References.fromTuples(new Descriptor('test', 'logger', 'array', '*', '1.0'), logger));
        return lock;
    }

    /** A server on which these commands have no name. */
    function without(...commands: string[]): Promise<RedisServer> {
        return RedisServer.start({ args: commands.flatMap((command) => ['--rename-command', command, '']) });
    }

    test('EVAL that was renamed away', async () => {
        await using server = await without('EVAL');
        const error = await rejection(make(server).open(null), 'NOT_SUPPORTED');
        assert.match(error.message, /does not know EVAL, which a lock needs/);
    });

    test('a command that scripts call and that was renamed away', async () => {
        await using server = await without('ZADD', 'PEXPIRE');
        const error = await rejection(make(server).open(null), 'NOT_SUPPORTED');
        assert.match(error.message, /does not know pexpire, zadd, which a lock needs; perhaps it was renamed/);
    });

    test('EVAL, and a command that scripts call, that the user may not run', async () => {
        await using server = await RedisServer.start();
        const raw = await ownClient(server);
        const user = { 'credential.username': 'w', 'credential.password': 'pw' };
        const grant = (...rules: string[]): Promise<unknown> =>
            raw.call('ACL', 'SETUSER', 'w', 'reset', 'on', '>pw', '~*', '&*', '+@all', ...rules);
        await grant('-eval');
        const first = await rejection(make(server, user).open(null), 'NO_PERMISSION');
        assert.match(first.message, /may not run EVAL, which a lock needs/);
        await grant('-zadd');
        const second = await rejection(make(server, user).open(null), 'NO_PERMISSION');
        assert.match(second.message, /may not run zadd, which a lock needs/);
        await ended(raw);
    });

    for (const [title, refuse] of [
        ['renamed away', async () => without('EVALSHA')],
        ...[
            "ERR unknown command 'EVALSHA'",
            'ERR unsupported command',
            "ERR handle request, command 'EVALSHA' is not allowed",
            "ERR Command is not available: 'EVALSHA'",
        ].map((text) => [`refused by a proxy with "${text}"`, async () => behind('EVALSHA', text)] as const),
    ] as const) {
        test(`EVALSHA alone that is ${title}: EVAL does it, with a warning`, async () => {
            const server = await refuse();
            const one = make(server);
            await one.open(null);
            assert.isTrue(await one.tryAcquireLock(null, 'key', 5000));
            await one.releaseLock(null, 'key');
            assert.lengthOf(warned, 1);
            assert.match(warned[0] ?? '', /refuses EVALSHA/);
            await one.close(null);
            await server.stop();
            await backend?.stop();
            backend = undefined;
        });
    }

    let backend: RedisServer | undefined;

    /** A proxy that refuses a command. */
    async function behind(command: string, text: string): Promise<TcpProxy> {
        backend = await RedisServer.start();
        return TcpProxy.start(backend, ([name]) => (name?.toUpperCase() === command ? `-${text}\r\n` : null));
    }

    test('messages that the user may not have: waiters poll, with a warning that names the rights', async () => {
        await using server = await RedisServer.start();
        const raw = await ownClient(server);
        await raw.call('ACL', 'SETUSER', 'deaf', 'on', '>pw', '~*', '+@all', 'resetchannels');
        const one = make(server, { 'credential.username': 'deaf', 'credential.password': 'pw' });
        await one.open(null);
        assert.lengthOf(warned, 1);
        assert.match(warned[0] ?? '', /poll.*\+subscribe \+publish &redis-lock:\*/);
        assert.isTrue(await one.tryAcquireLock(null, 'key', 5000));
        await ended(raw);
    });
});
