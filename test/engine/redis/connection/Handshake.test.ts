import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { assert } from 'chai';
import { SystemClock } from '../../../../src/engine/time/Clock';
import { RedisConnection } from '../../../../src/engine/redis/connection/RedisConnection';
import { RedisServer } from '../../../fixtures/RedisServer';
import { rejection } from '../../../fixtures/rejection';
import { skipWithoutRedis } from '../../../fixtures/sharedServer';
import type { RedisAddress } from '../../../fixtures/sharedServer';
import { TcpProxy } from '../../../fixtures/TcpProxy';
import { clientOf } from '../../clientOf';

const DENIED =
    '-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the ' +
    'default user. In this mode connections are only accepted from the loopback interface.\r\n';

suite('The handshake', function () {
    this.timeout(20_000);
    let server: RedisServer;
    let opened: RedisConnection[];
    let printed: unknown[];
    const { error, warn } = console;

    suiteSetup(skipWithoutRedis);
    suiteSetup(async () => {
        server = await RedisServer.start();
    });
    suiteTeardown(() => server?.stop());
    setup(() => {
        opened = [];
        printed = [];
        console.error = console.warn = (...texts: unknown[]) => void printed.push(texts);
    });
    teardown(async () => {
        console.error = error;
        console.warn = warn;
        await Promise.all(opened.map((one) => one.close()));
        assert.isEmpty(printed, 'nothing of the client goes to the console');
    });

    async function open(
        address: RedisAddress,
        options: Parameters<typeof clientOf>[1] = {},
        patience = 5000,
    ): Promise<RedisConnection> {
        const settings = { connectTimeout: patience, commandTimeout: patience };
        const connection = new RedisConnection(clientOf(address, options), settings, new SystemClock());
        opened.push(connection);
        await connection.open({});
        return connection;
    }

    for (const text of [
        'ERR unsupported command',
        "ERR unknown command 'HELLO'",
        "ERR Command is not available: 'HELLO'",
        'ERR hello',
        "NOPERM this user has no permissions to run the 'hello' command",
        'NOPROTO unsupported protocol version',
    ]) {
        test(`goes on with RESP2 where HELLO is refused with "${text}"`, async () => {
            await using proxy = await TcpProxy.start(server, ([name]) =>
                name?.toUpperCase() === 'HELLO' ? `-${text}\r\n` : null,
            );
            const connection = await open(proxy);
            assert.strictEqual(await connection.send((client) => client.ping()), 'PONG');
            assert.strictEqual(proxy.accepted, 1);
            await connection.close();
        });
    }

    test('takes a refusal of HELLO that passes for one: it is tried again', async () => {
        let times = 0;
        await using proxy = await TcpProxy.start(server, ([name]) => {
            if (name?.toUpperCase() !== 'HELLO') return null;
            times += 1;
            return times < 3 ? '-LOADING Redis is loading the dataset in memory\r\n' : null;
        });
        let protocol: number | undefined;
        const connection = new RedisConnection(
            clientOf(proxy),
            { connectTimeout: 5000, commandTimeout: 5000 },
            new SystemClock(),
        );
        opened.push(connection);
        await connection.open({
            prepare: (greeting) => {
                protocol = greeting.protocol;
                return Promise.resolve();
            },
        });
        assert.strictEqual(protocol, 3);
        await connection.close();
    });

    test('needs no password less where one is given that the server does not need', async () => {
        for (const protocol of [2, 3] as const) {
            const connection = await open(server, { password: 'not needed', protocol });
            assert.strictEqual(await connection.send((client) => client.ping()), 'PONG');
        }
    });

    test('tells of protected mode, with a password or without', async () => {
        const guarded = createServer((socket) => {
            socket.on('error', () => undefined);
            socket.on('data', () => socket.end(DENIED));
        }).listen(0, '127.0.0.1');
        await once(guarded, 'listening');
        try {
            const { port } = guarded.address() as AddressInfo;
            for (const options of [{ password: 'secret' }, {}, { protocol: 2, password: 'secret' }] as const) {
                const refused = await rejection(open({ host: '127.0.0.1', port }, options, 400), 'SERVER_REFUSED');
                assert.include(refused.message, 'DENIED Redis is running in protected mode');
            }
        } finally {
            guarded.close();
        }
    });

    for (const [command, protocol] of [
        ['HELLO', 3],
        ['AUTH', 2],
        ['PING', 3],
        ['INFO', 3],
    ] as const) {
        test(`names the command at which a proxy ends the connection: ${command}`, async () => {
            const proxy = await TcpProxy.start(server, ([name]) => {
                if (name?.toUpperCase() !== command) return null;
                setImmediate(() => proxy.cut());
                return '';
            });
            try {
                const refused = await rejection(open(proxy, { protocol, password: 'x' }, 400), 'CONNECTION_FAILED');
                assert.match(
                    refused.message,
                    new RegExp(`^Redis at 127\\.0\\.0\\.1:${proxy.port} .*ended the connection at ${command}\\.`),
                );
            } finally {
                await proxy.stop();
            }
        });
    }

    test('says that a plain port does not answer to TLS', async () => {
        const refused = await rejection(open(server, { tls: {} }, 400), 'CONNECTION_FAILED');
        assert.include(refused.message, 'does not answer to TLS');
    });
});
